// Get Log Page (5.14). A log is put together when it is asked for, and goes from there.
import { Nvme, NvmeHealth, NvmeLog, NvmeState, NvmeStatus } from '../../spec/nvme';
import { finish } from './completion';
import { eventsRead, temperatureWarns } from './events';
import { transferStart } from './transfer';
import { cdw, cdw64, get } from './words';

const ALL: u32 = 0xffffffff;
const RETAIN_BIT: u32 = 15;
const ERROR_SIZE: u32 = 64;
const HEALTH_SIZE: u32 = 512;
const FIRMWARE_SIZE: u32 = 512;
const EFFECTS_SIZE: u32 = 4096;

/** Newest first (figure 192). */
function errors(s: usize, page: usize): u32 {
  const count = load<u64>(s + NvmeState.ERROR_COUNT);
  const there = min<u64>(count, Nvme.ERRORS);
  for (let i: u64 = 0; i < there; i++) {
    const slot = <u32>(count - 1 - i) % <u32>Nvme.ERRORS;
    memory.copy(page + <usize>i * ERROR_SIZE, s + NvmeState.ERROR_LOG + slot * ERROR_SIZE, ERROR_SIZE);
  }
  return Nvme.ERRORS * ERROR_SIZE;
}

@inline
function health64(s: usize, at: u32): u64 {
  return load<u64>(s + NvmeState.HEALTH + at);
}

/** SMART / Health (figure 194). Units of data are thousands of 512 bytes, rounded up. */
function health(s: usize, page: usize): u32 {
  // critical warning: bit 1 temperature
  store<u8>(page, temperatureWarns(s) ? 2 : 0);
  store<u16>(page, Nvme.TEMPERATURE_K, 1);
  // available spare and its threshold, in percent
  store<u8>(page, 100, 3);
  store<u8>(page, 10, 4);
  store<u64>(page, (health64(s, NvmeHealth.READ_SECTORS) + 999) / 1000, 32);
  store<u64>(page, (health64(s, NvmeHealth.WRITTEN_SECTORS) + 999) / 1000, 48);
  store<u64>(page, health64(s, NvmeHealth.READS), 64);
  store<u64>(page, health64(s, NvmeHealth.WRITES), 80);
  store<u64>(page, health64(s, NvmeHealth.POWER_CYCLES), 112);
  store<u64>(page, health64(s, NvmeHealth.UNSAFE_SHUTDOWNS), 144);
  store<u64>(page, load<u64>(s + NvmeState.ERROR_COUNT), 176);
  return HEALTH_SIZE;
}

function copied(s: usize, page: usize, from: u32, size: u32): u32 {
  memory.copy(page, s + from, size);
  return size;
}

export function getLogPage(s: usize): void {
  const log = cdw(s, 10) & 0xff;
  const dwords = <u64>(cdw(s, 10) >> 16 | (cdw(s, 11) & 0xffff) << 16) + 1;
  const offset = cdw64(s, 12);
  const nsid = cdw(s, 1);
  const page = s + NvmeState.STORED;
  if (dwords << 2 > <u64>Nvme.TRANSFER_MAX || (offset & 3) != 0) return finish(s, NvmeStatus.INVALID_FIELD);
  // no log is a namespace's own
  if (log == NvmeLog.HEALTH && nsid != 0 && nsid != ALL) return finish(s, NvmeStatus.INVALID_FIELD);
  memory.fill(page, 0, EFFECTS_SIZE);
  let size: u32 = 0;
  switch (log) {
    case NvmeLog.ERRORS:
      size = errors(s, page);
      break;
    case NvmeLog.HEALTH:
      size = health(s, page);
      break;
    case NvmeLog.FIRMWARE:
      size = copied(s, page, NvmeState.FIRMWARE, FIRMWARE_SIZE);
      break;
    case NvmeLog.EFFECTS:
      size = copied(s, page, NvmeState.EFFECTS, EFFECTS_SIZE);
      break;
    default: return finish(s, NvmeStatus.LOG_PAGE);
  }
  if (offset >= size) return finish(s, NvmeStatus.INVALID_FIELD);
  if ((cdw(s, 10) >> RETAIN_BIT & 1) == 0 && log <= <u32>NvmeLog.HEALTH) eventsRead(s, log == NvmeLog.HEALTH);
  const length = <u32>dwords << 2;
  memory.fill(s + NvmeState.BUFFER, 0, length);
  memory.copy(s + NvmeState.BUFFER, page + <usize>offset, min<u32>(length, size - <u32>offset));
  transferStart(s, length, NvmeState.BUFFER, true);
}
