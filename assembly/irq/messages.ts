// Interrupt messages after remapping, in a bounded queue that the host polls. Identical pending messages merge, as
// in an interrupt request register; a full queue stalls the sender and drops nothing.
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { Message, Messages, State, StateSize } from '../spec/state';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';

@inline
function entryPtr(b: usize, running: u32): usize {
  return b + State.MESSAGES + Messages.ENTRIES + (running & (StateSize.MESSAGES - 1)) * StateSize.MESSAGE;
}

/** Whether one more message would find room. */
@inline
export function messagesHaveRoom(b: usize): bool {
  const queue = b + State.MESSAGES;
  return load<u32>(queue, Messages.TAIL) - load<u32>(queue, Messages.HEAD) < <u32>StateSize.MESSAGES;
}

export function messagePush(b: usize, source: u32, vector: u32, destination: u32, data: u32): Status {
  const queue = b + State.MESSAGES;
  const tail = load<u32>(queue, Messages.TAIL);
  for (let i = load<u32>(queue, Messages.HEAD); i != tail; i++) {
    const entry = entryPtr(b, i);
    if (load<u32>(entry, Message.VECTOR) == vector && load<u32>(entry, Message.DESTINATION) == destination) {
      count(b, Counter.MESSAGES_MERGED);
      return Status.OK;
    }
  }
  if (!messagesHaveRoom(b)) return Status.PENDING;
  const entry = entryPtr(b, tail);
  store<u32>(entry, source, Message.SOURCE);
  store<u32>(entry, vector, Message.VECTOR);
  store<u32>(entry, destination, Message.DESTINATION);
  store<u32>(entry, data, Message.DATA);
  store<u32>(queue, tail + 1, Messages.TAIL);
  count(b, Counter.MESSAGES_SENT);
  trace(b, TraceCategory.MESSAGE, source & 0xffff, destination, data, traceDetail(vector & 0xff, true, 0));
  return Status.OK;
}

/** Takes every message of a requester off the queue, and leaves the others in their order. Gives their number. */
export function messagesTake(b: usize, requester: u32): u32 {
  const queue = b + State.MESSAGES;
  const tail = load<u32>(queue, Messages.TAIL);
  let keep = load<u32>(queue, Messages.HEAD);
  let taken: u32 = 0;
  for (let i = keep; i != tail; i++) {
    const entry = entryPtr(b, i);
    if ((load<u32>(entry, Message.SOURCE) & 0xffff) == requester) taken++;
    else v128.store(entryPtr(b, keep++), v128.load(entry));
  }
  store<u32>(queue, keep, Messages.TAIL);
  return taken;
}

/** Offset from the state base of the oldest message, which is taken off; 0 when there is none. */
export function messagePop(b: usize): u32 {
  const queue = b + State.MESSAGES;
  const head = load<u32>(queue, Messages.HEAD);
  if (head == load<u32>(queue, Messages.TAIL)) return 0;
  store<u32>(queue, head + 1, Messages.HEAD);
  return <u32>(entryPtr(b, head) - b);
}
