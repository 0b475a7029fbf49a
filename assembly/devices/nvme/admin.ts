// The admin command set (chapter 5): queues and identification; features, logs and events have files of their own.
import {
  Nvme, NvmeAdmin, NvmeCc, NvmeCq, NvmeSq, NvmeState, NvmeStatus,
} from '../../spec/nvme';
import { registerGet } from '../../bus/functions';
import { msiEnabled, msixEnabled } from '../../dma/message';
import { msiVectorMask } from '../../irq/vectors';
import { finish } from './completion';
import { abort, eventRequest } from './events';
import { getFeatures, setFeatures } from './features';
import { pinUpdate } from './interrupts';
import { getLogPage } from './logs';
import { transferStart } from './transfer';
import { cdw, cdw64, cqPtr, cqThere, get, namespaceThere, set, sqPtr, sqThere } from './words';

const CONTIGUOUS: u32 = 1;
const CQ_INTERRUPTS: u32 = 2;

/** What is wrong with the memory and size of a new queue; entries are 2^`wanted` bytes. */
function queueWrong(b: usize, fn: u32, s: usize, sizeShift: u32, wanted: u32): u32 {
  const entries = cdw(s, 10) >> 16;
  if (entries == 0 || entries > <u32>Nvme.MQES) return NvmeStatus.QUEUE_SIZE;
  if ((cdw(s, 11) & CONTIGUOUS) == 0) return NvmeStatus.INVALID_FIELD;
  if (cdw64(s, 6) & (Nvme.PAGE - 1)) return NvmeStatus.PRP_OFFSET;
  return (registerGet(b, fn, 0, Nvme.CC) >> sizeShift & 15) != wanted ? NvmeStatus.INVALID_FIELD : 0;
}

/** Interrupt vectors that the host has turned on. */
function vectors(b: usize, fn: u32): u32 {
  if (msixEnabled(b, fn)) return Nvme.VECTORS;
  return msiEnabled(b, fn) ? msiVectorMask(b, fn) + 1 : 1;
}

function createCq(b: usize, fn: u32, s: usize): u32 {
  const id = cdw(s, 10) & 0xffff;
  const limit = min<u32>(get(s, NvmeState.QUEUE_LIMIT), Nvme.QUEUES - 1);
  if (id == 0 || id > limit || cqThere(s, id)) return NvmeStatus.QUEUE_ID;
  const wrong = queueWrong(b, fn, s, NvmeCc.IOCQES_SHIFT, 4);
  if (wrong != 0) return wrong;
  const interrupts = (cdw(s, 11) & CQ_INTERRUPTS) != 0;
  const vector = cdw(s, 11) >> 16;
  if (vector >= vectors(b, fn)) return NvmeStatus.VECTOR;
  const cq = cqPtr(s, id);
  memory.fill(cq, 0, NvmeCq.SIZE_OF);
  store<u64>(cq, cdw64(s, 6), NvmeCq.BASE);
  store<u32>(cq, (cdw(s, 10) >> 16) + 1, NvmeCq.ENTRIES);
  store<u32>(cq, 1, NvmeCq.PHASE);
  store<u32>(cq, interrupts ? 1 : 0, NvmeCq.INTERRUPTS);
  store<u32>(cq, vector, NvmeCq.VECTOR);
  return 0;
}

function createSq(b: usize, fn: u32, s: usize): u32 {
  const id = cdw(s, 10) & 0xffff;
  const limit = min<u32>(get(s, NvmeState.QUEUE_LIMIT), Nvme.QUEUES - 1);
  if (id == 0 || id > limit || sqThere(s, id)) return NvmeStatus.QUEUE_ID;
  const cqId = cdw(s, 11) >> 16;
  if (cqId == 0 || !cqThere(s, cqId)) return NvmeStatus.CQ_INVALID;
  const wrong = queueWrong(b, fn, s, NvmeCc.IOSQES_SHIFT, 6);
  if (wrong != 0) return wrong;
  const sq = sqPtr(s, id);
  memory.fill(sq, 0, NvmeSq.SIZE_OF);
  store<u64>(sq, cdw64(s, 6), NvmeSq.BASE);
  store<u32>(sq, (cdw(s, 10) >> 16) + 1, NvmeSq.ENTRIES);
  store<u32>(sq, cqId, NvmeSq.CQ);
  const cq = cqPtr(s, cqId);
  store<u32>(cq, load<u32>(cq, NvmeCq.USERS) + 1, NvmeCq.USERS);
  return 0;
}

/** What was in it and not fetched is gone with it. */
function deleteSq(s: usize): u32 {
  const id = cdw(s, 10) & 0xffff;
  if (id == 0 || !sqThere(s, id)) return NvmeStatus.QUEUE_ID;
  const cq = cqPtr(s, load<u32>(sqPtr(s, id), NvmeSq.CQ));
  store<u32>(cq, load<u32>(cq, NvmeCq.USERS) - 1, NvmeCq.USERS);
  memory.fill(sqPtr(s, id), 0, NvmeSq.SIZE_OF);
  return 0;
}

function deleteCq(b: usize, fn: u32, s: usize): u32 {
  const id = cdw(s, 10) & 0xffff;
  if (id == 0 || !cqThere(s, id)) return NvmeStatus.QUEUE_ID;
  if (load<u32>(cqPtr(s, id), NvmeCq.USERS) != 0) return NvmeStatus.QUEUE_DELETION;
  memory.fill(cqPtr(s, id), 0, NvmeCq.SIZE_OF);
  pinUpdate(b, fn, s);
  return 0;
}

/** Identify (5.15). The pages lie in the state; what is one namespace's is behind NAMESPACES. */
function identify(s: usize): void {
  const nsid = cdw(s, 1);
  const page: u32 = NvmeState.NAMESPACES + (nsid - 1) * NvmeState.NAMESPACE_PAGES;
  switch (cdw(s, 10) & 0xff) {
    case 0x00:
    case 0x03:
      if (!namespaceThere(s, nsid)) return finish(s, NvmeStatus.INVALID_NAMESPACE);
      return transferStart(s, Nvme.PAGE, (cdw(s, 10) & 0xff) == 0 ? page : page + Nvme.PAGE, true);
    case 0x01: return transferStart(s, Nvme.PAGE, NvmeState.IDENTIFY_CONTROLLER, true);
    case 0x02: {
      if (nsid >= 0xfffffffe) return finish(s, NvmeStatus.INVALID_NAMESPACE);
      const list = s + NvmeState.BUFFER;
      memory.fill(list, 0, Nvme.PAGE);
      let at: u32 = 0;
      for (let id = nsid + 1; id <= get(s, NvmeState.NAMESPACE_COUNT); id++, at += 4) store<u32>(list + at, id);
      return transferStart(s, Nvme.PAGE, NvmeState.BUFFER, true);
    }
    // of the NVM command set: no limits beside MDTS
    case 0x06:
      if (cdw(s, 11) >> 24 != 0) return finish(s, NvmeStatus.INVALID_FIELD);
      memory.fill(s + NvmeState.BUFFER, 0, Nvme.PAGE);
      return transferStart(s, Nvme.PAGE, NvmeState.BUFFER, true);
    default: finish(s, NvmeStatus.INVALID_FIELD);
  }
}

/** False: PENDING, to be done again. */
export function adminStart(b: usize, fn: u32, s: usize): bool {
  switch (cdw(s, 0) & 0xff) {
    case NvmeAdmin.DELETE_SQ:
      finish(s, deleteSq(s));
      break;
    case NvmeAdmin.CREATE_SQ:
      finish(s, createSq(b, fn, s));
      break;
    case NvmeAdmin.GET_LOG_PAGE:
      getLogPage(s);
      break;
    case NvmeAdmin.DELETE_CQ:
      finish(s, deleteCq(b, fn, s));
      break;
    case NvmeAdmin.CREATE_CQ:
      finish(s, createCq(b, fn, s));
      break;
    case NvmeAdmin.IDENTIFY:
      identify(s);
      break;
    case NvmeAdmin.ABORT: return abort(b, fn, s);
    case NvmeAdmin.SET_FEATURES:
      setFeatures(s);
      break;
    case NvmeAdmin.GET_FEATURES:
      getFeatures(s);
      break;
    case NvmeAdmin.ASYNC_EVENT:
      eventRequest(s);
      break;
    default: finish(s, NvmeStatus.INVALID_OPCODE);
  }
  return true;
}
