// Asynchronous events (5.2): requests are held until there is something to tell. After an event of a type no other of
// that type is told until the host has read the log that goes with it.
import { Nvme, NvmeCq, NvmeFeature, NvmeState, NvmeStatus } from '../../spec/nvme';
import { Status } from '../../spec/status';
import { cqHasRoom, errorLog, finish, post } from './completion';
import { cdw, cqPtr, get, set } from './words';

/** Bits of EVENTS_DUE, and of EVENTS_MASKED by type. */
export const DOORBELL_REGISTER: u32 = 1;
export const DOORBELL_VALUE: u32 = 2;
export const TEMPERATURE: u32 = 4;
const TYPE_ERROR: u32 = 1;
const TYPE_HEALTH: u32 = 2;

/** Log page 23:16, information 15:8, type 2:0. */
function told(event: u32): u32 {
  if (event == TEMPERATURE) return 0x020101;
  return event == DOORBELL_VALUE ? 0x010100 : 0x010000;
}

@inline
function typeOf(event: u32): u32 {
  return event == TEMPERATURE ? TYPE_HEALTH : TYPE_ERROR;
}

/** A doorbell was written that is none, or with a value that it cannot have. */
export function doorbellError(s: usize, event: u32): void {
  errorLog(s, 0xffff, 0xffff, 0, 0xffff);
  set(s, NvmeState.EVENTS_DUE, get(s, NvmeState.EVENTS_DUE) | event);
}

/** Whether the temperature is beyond a threshold. */
export function temperatureWarns(s: usize): bool {
  const over = get(s, NvmeState.FEATURES + (NvmeFeature.TEMPERATURE << 2));
  const under = get(s, NvmeState.FEATURES + (NvmeFeature.TEMPERATURE - 1 << 2));
  return <u32>Nvme.TEMPERATURE_K >= over || <u32>Nvme.TEMPERATURE_K <= under;
}

/** After a change of a threshold or of what is to be told. */
export function temperatureCheck(s: usize): void {
  const due = get(s, NvmeState.EVENTS_DUE) & ~TEMPERATURE;
  const wanted = (get(s, NvmeState.FEATURES + (NvmeFeature.EVENTS << 2)) & 2) != 0;
  set(s, NvmeState.EVENTS_DUE, temperatureWarns(s) && wanted ? due | TEMPERATURE : due);
}

/** The host has read a log: its type may be told again. */
export function eventsRead(s: usize, health: bool): void {
  const type = health ? TYPE_HEALTH : TYPE_ERROR;
  set(s, NvmeState.EVENTS_MASKED, get(s, NvmeState.EVENTS_MASKED) & ~type);
}

/** Asynchronous Event Request: held, up to the limit. */
export function eventRequest(s: usize): void {
  const held = get(s, NvmeState.EVENTS_HELD);
  if (held > <u32>Nvme.AERL) return finish(s, NvmeStatus.EVENT_LIMIT);
  store<u16>(s + NvmeState.EVENTS_CID + (held << 1), <u16>(cdw(s, 0) >> 16));
  set(s, NvmeState.EVENTS_HELD, held + 1);
  set(s, NvmeState.PHASE, 0);
}

function requestDrop(s: usize, index: u32): void {
  const held = get(s, NvmeState.EVENTS_HELD) - 1;
  const cids = s + NvmeState.EVENTS_CID;
  for (let i = index; i < held; i++) store<u16>(cids + (i << 1), load<u16>(cids + (i << 1), 2));
  set(s, NvmeState.EVENTS_HELD, held);
}

/** The event that can be told now, 0 when there is none. */
export function eventReady(s: usize): u32 {
  if (get(s, NvmeState.EVENTS_HELD) == 0 || !cqHasRoom(s, 0)) return 0;
  const due = get(s, NvmeState.EVENTS_DUE);
  const masked = get(s, NvmeState.EVENTS_MASKED);
  for (let event = DOORBELL_REGISTER; event <= TEMPERATURE; event <<= 1) {
    if ((due & event) != 0 && (masked & typeOf(event)) == 0) return event;
  }
  return 0;
}

/** One step: an event is told. */
export function eventTell(b: usize, fn: u32, s: usize, event: u32): bool {
  if (post(b, fn, s, 0, load<u16>(s + NvmeState.EVENTS_CID), 0, told(event)) == Status.PENDING) return false;
  requestDrop(s, 0);
  set(s, NvmeState.EVENTS_DUE, get(s, NvmeState.EVENTS_DUE) & ~event);
  set(s, NvmeState.EVENTS_MASKED, get(s, NvmeState.EVENTS_MASKED) | typeOf(event));
  return true;
}

/**
 * Abort (5.1): of what was fetched, only event requests can still be aborted. Its own entry and theirs need room. False:
 * PENDING.
 */
export function abort(b: usize, fn: u32, s: usize): bool {
  const sqId = cdw(s, 10) & 0xffff;
  const cid = cdw(s, 10) >> 16;
  // not aborted
  set(s, NvmeState.RESULT, 1);
  const held = sqId == 0 ? get(s, NvmeState.EVENTS_HELD) : 0;
  for (let i: u32 = 0; i < held; i++) {
    if (load<u16>(s + NvmeState.EVENTS_CID + (i << 1)) != cid || !roomForTwo(s)) continue;
    if (post(b, fn, s, 0, cid, NvmeStatus.ABORTED, 0) == Status.PENDING) return false;
    requestDrop(s, i);
    set(s, NvmeState.RESULT, 0);
    break;
  }
  finish(s, 0);
  return true;
}

function roomForTwo(s: usize): bool {
  const cq = cqPtr(s, 0);
  const entries = load<u32>(cq, NvmeCq.ENTRIES);
  const used = (load<u32>(cq, NvmeCq.TAIL) + entries - load<u32>(cq, NvmeCq.HEAD)) % entries;
  return used + 2 < entries;
}
