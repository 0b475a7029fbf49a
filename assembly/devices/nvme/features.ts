// Set Features and Get Features (5.21, 5.9). None is kept over a reset, and none is a namespace's own but error recovery.
import { Nvme, NvmeFeature, NvmeState, NvmeStatus } from '../../spec/nvme';
import { finish } from './completion';
import { temperatureCheck } from './events';
import { cdw, cqThere, get, namespaceThere, set, sqThere } from './words';

const ALL: u32 = 0xffffffff;
const SAVE_BIT: u32 = 31;
/** Queues besides the admin queue, minus one, both ways: what the host gets that asks for more. */
const MOST: u32 = Nvme.QUEUES - 2;
const CHANGEABLE: u32 = 4;

@inline
function word(id: u32): u32 {
  return NvmeState.FEATURES + (id << 2);
}

function known(id: u32): bool {
  return id == NvmeFeature.ARBITRATION || id == NvmeFeature.POWER || (id >= <u32>NvmeFeature.TEMPERATURE && id <= <u32>NvmeFeature.EVENTS);
}

function initial(id: u32): u32 {
  // as many commands of a queue in a row as there are; warning from 70 °C
  if (id == NvmeFeature.ARBITRATION) return 7;
  if (id == NvmeFeature.TEMPERATURE) return 343;
  if (id == NvmeFeature.QUEUES) return MOST << 16 | MOST;
  return id == NvmeFeature.WRITE_CACHE ? 1 : 0;
}

export function featuresReset(s: usize): void {
  for (let id: u32 = 0; id <= <u32>NvmeFeature.EVENTS; id++) set(s, word(id), known(id) ? initial(id) : 0);
  set(s, NvmeState.QUEUE_LIMIT, Nvme.QUEUES - 1);
}

function namespaceWrong(s: usize, id: u32): u32 {
  const nsid = cdw(s, 1);
  if (nsid == 0 || nsid == ALL) return 0;
  if (!namespaceThere(s, nsid)) return NvmeStatus.INVALID_NAMESPACE;
  return id == NvmeFeature.ERROR_RECOVERY ? 0 : NvmeStatus.NOT_PER_NAMESPACE;
}

/** Temperature: threshold 15:0, sensor 19:16 (0 composite, 15 all), 21:20 over or under. */
function temperatureWord(value: u32): u32 {
  const sensor = value >> 16 & 15;
  const kind = value >> 20 & 3;
  if ((sensor != 0 && sensor != 15) || kind > 1) return 0;
  // the word before is no feature's own
  return kind == 0 ? word(NvmeFeature.TEMPERATURE) : word(NvmeFeature.TEMPERATURE - 1);
}

function queuesSet(s: usize, value: u32): u32 {
  const submission = value & 0xffff;
  const completion = value >> 16;
  if (submission == 0xffff || completion == 0xffff) return NvmeStatus.INVALID_FIELD;
  for (let id: u32 = 1; id < <u32>Nvme.QUEUES; id++) if (sqThere(s, id) || cqThere(s, id)) return NvmeStatus.SEQUENCE;
  const granted = min(submission, MOST) | min(completion, MOST) << 16;
  set(s, word(NvmeFeature.QUEUES), granted);
  set(s, NvmeState.RESULT, granted);
  return 0;
}

function featureSet(s: usize, id: u32, value: u32): u32 {
  switch (id) {
    case NvmeFeature.POWER:
      // there is one power state
      if (value & 31) return NvmeStatus.INVALID_FIELD;
      break;
    case NvmeFeature.TEMPERATURE: {
      const at = temperatureWord(value);
      if (at == 0) return NvmeStatus.INVALID_FIELD;
      set(s, at, value & 0xffff);
      temperatureCheck(s);
      return 0;
    }
    case NvmeFeature.ERROR_RECOVERY:
      value &= 0xffff;
      break;
    case NvmeFeature.WRITE_CACHE:
    case NvmeFeature.ATOMICITY:
      value &= 1;
      break;
    case NvmeFeature.QUEUES: return queuesSet(s, value);
    case NvmeFeature.COALESCING:
      value &= 0xffff;
      break;
    case NvmeFeature.VECTOR: {
      const vector = value & 0xffff;
      if (vector >= <u32>Nvme.VECTORS) return NvmeStatus.INVALID_FIELD;
      set(s, NvmeState.VECTOR_CONFIG + (vector << 2), value & 0x10000);
      return 0;
    }
    case NvmeFeature.EVENTS:
      set(s, word(id), value & 0xff);
      temperatureCheck(s);
      return 0;
  }
  set(s, word(id), value);
  return 0;
}

export function setFeatures(s: usize): void {
  const id = cdw(s, 10) & 0xff;
  if (!known(id)) return finish(s, NvmeStatus.INVALID_FIELD);
  if (cdw(s, 10) >> SAVE_BIT) return finish(s, NvmeStatus.NOT_SAVEABLE);
  const wrong = namespaceWrong(s, id);
  finish(s, wrong != 0 ? wrong : featureSet(s, id, cdw(s, 11)));
}

/** The vector that it is about is in the command. */
function vectorGet(s: usize, byDefault: bool): u32 {
  const vector = cdw(s, 11) & 0xffff;
  // the admin queue's is never coalesced
  const off: u32 = vector == 0 ? 0x10000 : byDefault ? 0 : get(s, NvmeState.VECTOR_CONFIG + (vector << 2));
  return off | vector;
}

export function getFeatures(s: usize): void {
  const id = cdw(s, 10) & 0xff;
  // 0 current, 1 default, 2 saved (which is the default), 3 what can be done with it
  const select = cdw(s, 10) >> 8 & 7;
  if (!known(id) || select > 3) return finish(s, NvmeStatus.INVALID_FIELD);
  const wrong = namespaceWrong(s, id);
  if (wrong == NvmeStatus.INVALID_NAMESPACE) return finish(s, wrong);
  let at = word(id);
  let byDefault = initial(id);
  if (id == NvmeFeature.TEMPERATURE) {
    at = temperatureWord(cdw(s, 11));
    if (at == 0) return finish(s, NvmeStatus.INVALID_FIELD);
    if (at != word(id)) byDefault = 0;
  }
  if (id == NvmeFeature.VECTOR && (cdw(s, 11) & 0xffff) >= <u32>Nvme.VECTORS) return finish(s, NvmeStatus.INVALID_FIELD);
  let result = select == 3 ? CHANGEABLE : select == 0 ? get(s, at) : byDefault;
  if (id == NvmeFeature.VECTOR && select != 3) result = vectorGet(s, select != 0);
  set(s, NvmeState.RESULT, result);
  finish(s, 0);
}
