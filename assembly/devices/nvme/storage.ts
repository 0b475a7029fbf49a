// What is behind a namespace: bytes in RAM, which answer at once, or a back end of the host, which takes the request from
// the state and answers later. One request at a time: commands are done one after the other.
import { NvmeAnswer, NvmeNamespace, NvmePhase, NvmeRequest, NvmeState, Storage } from '../../spec/nvme';
import { Counter } from '../../spec/counters';
import { count } from '../../memory/state';
import { get, namespacePtr, set } from './words';

@inline
export function storageWaits(s: usize): bool {
  return get(s, NvmeState.STORAGE + Storage.ANSWER) == NvmeAnswer.ASKED;
}

/** Asks for `length` bytes from `offset` of a namespace. The caller has checked the range. */
export function ask(b: usize, s: usize, op: u32, nsid: u32, offset: u64, length: u32, data: u32): void {
  const request = s + NvmeState.STORAGE;
  store<u32>(request, op, Storage.OP);
  store<u32>(request, nsid, Storage.NAMESPACE);
  store<u64>(request, offset, Storage.OFFSET);
  store<u32>(request, length, Storage.LENGTH);
  store<u32>(request, data, Storage.DATA);
  store<u32>(request, load<u32>(request, Storage.SERIAL) + 1, Storage.SERIAL);
  count(b, Counter.SERVICE_UNITS);
  const ram = load<u32>(namespacePtr(s, nsid), NvmeNamespace.RAM);
  if (ram == 0) return store<u32>(request, NvmeAnswer.ASKED, Storage.ANSWER);
  const disk = s + ram + <usize>offset;
  if (op == NvmeRequest.READ) memory.copy(s + data, disk, length);
  else if (op == NvmeRequest.WRITE) memory.copy(disk, s + data, length);
  else if (op == NvmeRequest.ZERO) memory.fill(disk, 0, length);
  store<u32>(request, NvmeAnswer.DONE, Storage.ANSWER);
}

/** The same, as the next thing that the command under way does. */
export function command(b: usize, s: usize, op: u32, nsid: u32, offset: u64, length: u32, data: u32): void {
  ask(b, s, op, nsid, offset, length, data);
  set(s, NvmeState.PHASE, NvmePhase.STORAGE);
}

/** Nobody waits for an answer any more. */
export function storageForget(s: usize): void {
  const request = s + NvmeState.STORAGE;
  store<u32>(request, NvmeAnswer.IDLE, Storage.ANSWER);
  store<u32>(request, load<u32>(request, Storage.SERIAL) + 1, Storage.SERIAL);
}
