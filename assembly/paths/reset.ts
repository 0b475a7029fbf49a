// The kinds of reset. Each gives config space its values after reset, so that BARs and enables are gone and whoever
// resets a device in use restores them, as pci_reset_function of Linux does.
//
//   function-level   one function; keeps payload size and link control (PCI Express 6.0 §6.6.2)
//   power-state      D3hot to D0 without No_Soft_Reset: the same (PCI PM 1.2 §5.4); a bridge resets what is behind it
//   bus              everything behind a bridge (Secondary Bus Reset)
//   system           everything, the IOMMU and the queues too; memory stays
import { HostReset } from '../spec/host';
import { Machine } from '../spec/machine';
import { Pci, PciExp } from '../spec/pci';
import { BarKind, BarRecord, FunctionRecord, Messages, Peer, State } from '../spec/state';
import { barRecord, cellsReset, functionPresent, functionRecord } from '../bus/functions';
import { configPtr } from '../bus/config';
import { isBridge, parentOf } from '../bus/bridges';
import { vectorsForget } from '../irq/vectors';
import { vtdReset } from '../iommu/registers';
import { deviceReset } from './dispatch';
import { configApply } from './apply';

function configReset(b: usize, fn: u32, functionLevel: bool): void {
  const record = functionRecord(b, fn);
  const image = load<u32>(record, FunctionRecord.CONFIG_RESET);
  if (image == 0) return;
  const config = configPtr(b, fn);
  const express = load<u32>(record, FunctionRecord.EXP_CAP);
  const kept = functionLevel && express != 0;
  const payload: u32 = kept ? load<u16>(config + express + PciExp.DEVCTL) & PciExp.DEVCTL_PAYLOAD_MASK : 0;
  const link: u32 = kept ? load<u16>(config + express + PciExp.LNKCTL) : 0;
  // the reading of interrupt line and the like is software's: reset as everything else
  memory.copy(config, b + image, load<u32>(record, FunctionRecord.CONFIG_SIZE));
  if (!kept) return;
  const control = <u32>load<u16>(config + express + PciExp.DEVCTL) & ~(<u32>PciExp.DEVCTL_PAYLOAD_MASK);
  store<u16>(config + express + PciExp.DEVCTL, <u16>(control | payload));
  store<u16>(config + express + PciExp.LNKCTL, <u16>link);
}

/** One function to its values after reset; what follows from its config space is the caller's to apply. */
function stateReset(b: usize, fn: u32, functionLevel: bool): void {
  for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
    if (load<u32>(barRecord(b, fn, bar), BarRecord.KIND) != BarKind.NONE) cellsReset(b, fn, bar);
  }
  deviceReset(b, fn, functionLevel ? HostReset.FUNCTION : HostReset.BUS);
  vectorsForget(b, fn);
  configReset(b, fn, functionLevel);
}

function stateResetBehind(b: usize, bridge: u32): void {
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (!functionPresent(b, fn) || parentOf(b, fn) != bridge + 1) continue;
    stateReset(b, fn, false);
    if (isBridge(b, fn)) stateResetBehind(b, fn);
  }
}

@inline
function hasConfig(b: usize, fn: u32): bool {
  return load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE) != 0;
}

export function functionReset(b: usize, fn: u32): void {
  if (!hasConfig(b, fn)) return;
  stateReset(b, fn, true);
  configApply(b, fn);
}

/** Everything behind a bridge. The bridge itself keeps its windows and bus numbers. */
export function busReset(b: usize, bridge: u32): void {
  if (!isBridge(b, bridge)) return;
  stateResetBehind(b, bridge);
  configApply(b, bridge);
}

/** D3hot to D0. */
export function powerReset(b: usize, fn: u32): void {
  if (isBridge(b, fn)) stateResetBehind(b, fn);
  functionReset(b, fn);
}

export function systemReset(b: usize): void {
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (functionPresent(b, fn) && hasConfig(b, fn)) stateReset(b, fn, false);
  }
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (functionPresent(b, fn) && parentOf(b, fn) == 0) configApply(b, fn);
  }
  if (functionPresent(b, 0)) vtdReset(b);
  const messages = b + State.MESSAGES;
  store<u32>(messages, load<u32>(messages, Messages.TAIL), Messages.HEAD);
  const peers = b + State.PEER;
  store<u32>(peers, load<u32>(peers, Peer.TAIL), Peer.HEAD);
  store<u32>(b, 0, State.CONFIG_ADDRESS);
}
