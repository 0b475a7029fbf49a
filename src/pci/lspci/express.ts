/** PCI Express in words (PCI Express 6.0 §7.5.3), from its first register to its last. */

import { PciExp } from '../../../assembly/spec/pci';
import { type Bits, bitsOf, type ConfigBytes, flags, hex, sign } from './image';
import type { Described } from './types';

const TYPES: Readonly<Record<number, string>> = {
  0x0: 'Endpoint', 0x1: 'Legacy Endpoint', 0x4: 'Root Port', 0x5: 'Upstream Port', 0x6: 'Downstream Port',
  0x7: 'PCI-Express to PCI/PCI-X Bridge', 0x8: 'PCI/PCI-X to PCI-Express Bridge', 0x9: 'Root Complex Integrated Endpoint',
  0xa: 'Root Complex Event Collector',
};
const SPEEDS = ['unknown', '2.5GT/s', '5GT/s', '8GT/s', '16GT/s', '32GT/s', '64GT/s'];
const L0S = ['<64ns', '<128ns', '<256ns', '<512ns', '<1us', '<2us', '<4us', 'unlimited'];
const L1 = ['<1us', '<2us', '<4us', '<8us', '<16us', '<32us', '<64us', 'unlimited'];
/** A link's exit latencies, whose last value is open at the other end. */
const L0S_EXIT = [...L0S.slice(0, 7), '>4us'];
const L1_EXIT = [...L1.slice(0, 7), '>64us'];
const ASPM_SUPPORT = ['not supported', 'L0s', 'L1', 'L0s L1'];
const ASPM_CONTROL = ['Disabled', 'L0s Enabled', 'L1 Enabled', 'L0s L1 Enabled'];
const OBFF = ['Not Supported', 'Via message', 'Via WAKE#', 'Via message/WAKE#'];
const OBFF_CONTROL = ['Disabled', 'Via message A', 'Via message B', 'Via WAKE#'];
const TIMEOUT_RANGES: Readonly<Record<number, string>> = {
  0: 'Not Supported', 1: 'Range A', 2: 'Range B', 3: 'Range AB', 6: 'Range BC', 7: 'Range ABC', 14: 'Range BCD', 15: 'Range ABCD',
};
const TIMEOUTS: Readonly<Record<number, string>> = {
  0: '50us to 50ms', 1: '50us to 100us', 2: '1ms to 10ms', 5: '16ms to 55ms', 6: '65ms to 210ms', 9: '260ms to 900ms',
  10: '1s to 3.5s', 13: '4s to 13s', 14: '17s to 64s',
};
const DEVICE_ERRORS: Bits = [['CorrErr', 1], ['NonFatalErr', 2], ['FatalErr', 4], ['UnsupReq', 8]];
const SLOT_CAPABLE: Bits = [['AttnBtn', 1], ['PwrCtrl', 2], ['MRL', 4], ['AttnInd', 8], ['PwrInd', 16], ['HotPlug', 64],
  ['Surprise', 32]];
const SLOT_ENABLE: Bits = [['AttnBtn', 1], ['PwrFlt', 2], ['MRL', 4], ['PresDet', 8], ['CmdCplt', 16], ['HPIrq', 32],
  ['LinkChg', 0x1000]];
const INDICATOR = ['Unknown', 'On', 'Blink', 'Off'];

const ENDPOINT = 0x0;
const ROOT_PORT = 0x4;
const DOWNSTREAM = 0x6;
const INTEGRATED = 0x9;
const COLLECTOR = 0xa;

export function expressLines(bytes: ConfigBytes, off: number, verbose: number): Described {
  const about = bytes.u16(off + PciExp.FLAGS);
  const [version, type, slot] = [about & 0xf, bitsOf(about, PciExp.FLAGS_TYPE_SHIFT, 4), (about & 0x0100) !== 0];
  const port = type === ROOT_PORT || type === DOWNSTREAM;
  const more = deviceLines(bytes, off, type);
  const linked = type !== INTEGRATED && type !== COLLECTOR;
  if (linked) more.push(...linkLines(bytes, off));
  if (slot && port) more.push(...slotLines(bytes, off));
  if (type === ROOT_PORT || type === COLLECTOR) more.push(...rootLines(bytes, off));
  if (version >= 2) {
    more.push(...deviceTwoLines(bytes, off, type));
    if (linked) more.push(...linkTwoLines(bytes, off));
  }
  return {
    title: `Express${verbose > 1 ? ` (v${version})` : ''} ${TYPES[type] ?? `Unknown type ${type}`}`
      + `${port ? ` (Slot${sign(slot)})` : ''}, MSI ${hex(bitsOf(about, 9, 5), 2)}`,
    more,
  };
}

function deviceLines(bytes: ConfigBytes, off: number, type: number): string[] {
  const able = bytes.u32(off + PciExp.DEVCAP);
  const [control, status] = [bytes.u16(off + PciExp.DEVCTL), bytes.u16(off + PciExp.DEVSTA)];
  // Latencies and indicators are an endpoint's with a link, the reset any endpoint's.
  const endpoint = type <= 1;
  const resets = endpoint || type === INTEGRATED;
  const first = `DevCap:\tMaxPayload ${128 << bitsOf(able, 0, 3)} bytes, PhantFunc ${bitsOf(able, 3, 2) === 0 ? 0 : 2 ** bitsOf(able, 3, 2)}`
    + (endpoint ? `, Latency L0s ${L0S[bitsOf(able, 6, 3)]}, L1 ${L1[bitsOf(able, 9, 3)]}` : '');
  const powered = type === ENDPOINT || type === 1 || type === 5;
  const second = [
    flags(able, [['ExtTag', PciExp.DEVCAP_EXTENDED_TAG]]),
    ...(powered ? [flags(able, [['AttnBtn', 0x1000], ['AttnInd', 0x2000], ['PwrInd', 0x4000]])] : []),
    flags(able, [['RBE', PciExp.DEVCAP_ROLE_BASED_ERRORS]]),
    ...(resets ? [flags(able, [['FLReset', PciExp.DEVCAP_FLR]])] : []),
    ...(powered ? [`SlotPowerLimit ${powerLimit(bitsOf(able, 18, 8), bitsOf(able, 26, 2))}W`] : []),
  ];
  const flr = resets && (able & PciExp.DEVCAP_FLR) !== 0 ? ` ${flags(control, [['FLReset', PciExp.DEVCTL_FLR]])}` : '';
  return [
    first, `\t${second.join(' ')}`,
    `DevCtl:\t${flags(control, DEVICE_ERRORS)}`,
    `\t${flags(control, [['RlxdOrd', 0x10], ['ExtTag', 0x100], ['PhantFunc', 0x200], ['AuxPwr', 0x400], ['NoSnoop', 0x800]])}${flr}`,
    `\tMaxPayload ${128 << bitsOf(control, 5, 3)} bytes, MaxReadReq ${128 << bitsOf(control, 12, 3)} bytes`,
    `DevSta:\t${flags(status, DEVICE_ERRORS)} ${flags(status, [['AuxPwr', 0x10], ['TransPend', 0x20]])}`,
  ];
}

/** Tenths, hundredths and thousandths by `scale`. */
function powerLimit(value: number, scale: number): string {
  return String(value / 10 ** scale);
}

function linkLines(bytes: ConfigBytes, off: number): string[] {
  const able = bytes.u32(off + PciExp.LNKCAP);
  const [control, status] = [bytes.u16(off + PciExp.LNKCTL), bytes.u16(off + PciExp.LNKSTA)];
  const aspm = bitsOf(able, 10, 2);
  const exits = [...((aspm & 1) === 0 ? [] : [`L0s ${L0S_EXIT[bitsOf(able, 12, 3)]}`]),
    ...((aspm & 2) === 0 ? [] : [`L1 ${L1_EXIT[bitsOf(able, 15, 3)]}`])];
  return [
    `LnkCap:\tPort #${able >>> PciExp.LNKCAP_PORT_SHIFT}, Speed ${SPEEDS[able & 0xf] ?? 'unknown'}, Width x${bitsOf(able, 4, 6)}, `
      + `ASPM ${ASPM_SUPPORT[aspm]}${exits.length === 0 ? '' : `, Exit Latency ${exits.join(', ')}`}`,
    `\t${flags(able, [['ClockPM', 1 << 18], ['Surprise', 1 << 19], ['LLActRep', 1 << 20], ['BwNot', 1 << 21], ['ASPMOptComp', 1 << 22]])}`,
    `LnkCtl:\tASPM ${ASPM_CONTROL[control & 3]}; RCB ${(control & 8) === 0 ? 64 : 128} bytes, `
      + `${flags(control, [['Disabled', 0x10], ['CommClk', 0x40]])}`,
    `\t${flags(control, [['ExtSynch', 0x80], ['ClockPM', 0x100], ['AutWidDis', 0x200], ['BWInt', 0x400], ['AutBWInt', 0x800]])}`,
    `LnkSta:\tSpeed ${SPEEDS[status & 0xf] ?? 'unknown'}, Width x${bitsOf(status, 4, 6)}`,
    `\t${flags(status, [['TrErr', 0x400], ['Train', 0x800], ['SlotClk', 0x1000], ['DLActive', 0x2000], ['BWMgmt', 0x4000],
      ['ABWMgmt', 0x8000]])}`,
  ];
}

function slotLines(bytes: ConfigBytes, off: number): string[] {
  const able = bytes.u32(off + PciExp.SLTCAP);
  const [control, status] = [bytes.u16(off + PciExp.SLTCTL), bytes.u16(off + PciExp.SLTSTA)];
  return [
    `SltCap:\t${flags(able, SLOT_CAPABLE)}`,
    `\tSlot #${able >>> 19}, PowerLimit ${powerLimit(bitsOf(able, 7, 8), bitsOf(able, 15, 2))}W; `
      + flags(able, [['Interlock', 1 << 17], ['NoCompl', 1 << 18]]),
    `SltCtl:\tEnable: ${flags(control, SLOT_ENABLE)}`,
    `\tControl: AttnInd ${INDICATOR[bitsOf(control, 6, 2)]}, PwrInd ${INDICATOR[bitsOf(control, 8, 2)]}, `
      + flags(control, [['Power', 0x400], ['Interlock', 0x800]]),
    `SltSta:\tStatus: ${flags(status, [['AttnBtn', 1], ['PowerFlt', 2], ['MRL', 32], ['CmdCplt', 16], ['PresDet', 64], ['Interlock', 128]])}`,
    `\tChanged: ${flags(status, [['MRL', 4], ['PresDet', 8], ['LinkState', 256]])}`,
  ];
}

function rootLines(bytes: ConfigBytes, off: number): string[] {
  const status = bytes.u32(off + PciExp.ROOTSTA);
  return [
    `RootCap: ${flags(bytes.u16(off + PciExp.ROOTCAP), [['CRSVisible', 1]])}`,
    `RootCtl: ${flags(bytes.u16(off + PciExp.ROOTCTL), [['ErrCorrectable', 1], ['ErrNon-Fatal', 2], ['ErrFatal', 4],
      ['PMEIntEna', 8], ['CRSVisible', 16]])}`,
    `RootSta: PME ReqID ${hex(status & 0xffff, 4)}, ${flags(status, [['PMEStatus', 1 << 16], ['PMEPending', 1 << 17]])}`,
  ];
}

function deviceTwoLines(bytes: ConfigBytes, off: number, type: number): string[] {
  const able = bytes.u32(off + PciExp.DEVCAP2);
  const control = bytes.u16(off + PciExp.DEVCTL2);
  const [root, port] = [type === ROOT_PORT, type === ROOT_PORT || type === DOWNSTREAM];
  const tph = bitsOf(able, 12, 2);
  const atomics: Bits = [['32bit', 1 << 7], ['64bit', 1 << 8], ['128bitCAS', 1 << 9]];
  return [
    `DevCap2: Completion Timeout: ${TIMEOUT_RANGES[able & 0xf] ?? 'Unknown'}, ${flags(able, [['TimeoutDis', 1 << 4],
      ['NROPrPrP', 1 << 10], ['LTR', 1 << 11]])}`,
    `\t ${flags(able, [['10BitTagComp', 1 << 16], ['10BitTagReq', 1 << 17]])} OBFF ${OBFF[bitsOf(able, 18, 2)]}, `
      + flags(able, [['ExtFmt', 1 << 20], ['EETLPPrefix', 1 << 21]]),
    `\t EmergencyPowerReduction ${['Not Supported', 'Form Factor Dev Specific', 'Form Factor Dev Specific or Form Factor', 'Reserved'][bitsOf(able, 24, 2)]}, `
      + flags(able, [['EmergencyPowerReductionInit', 1 << 26]]),
    `\t ${[
      flags(able, [['FRS', 2 ** 31 | 0]]),
      ...(root ? [`LN System CLS ${['Not Supported', '64byte cachelines', '128byte cachelines', 'Reserved'][bitsOf(able, 14, 2)]},`] : []),
      `TPHComp${sign(tph !== 0)} ExtTPHComp${sign(tph === 3)}`,
      ...(port ? [flags(able, [['ARIFwd', 1 << 5]])] : []),
    ].join(' ')}`,
    `\t AtomicOpsCap: ${flags(able, port ? [['Routing', 1 << 6], ...atomics] : atomics)}`,
    `DevCtl2: Completion Timeout: ${TIMEOUTS[control & 0xf] ?? 'Unknown'}, ${flags(control, [['TimeoutDis', 1 << 4],
      ['LTR', 1 << 10], ['10BitTagReq', 1 << 12]])} OBFF ${OBFF_CONTROL[bitsOf(control, 13, 2)]},`
      + (port ? ` ${flags(control, [['ARIFwd', 1 << 5]])}` : ''),
    `\t AtomicOpsCtl: ${flags(control, port ? [['ReqEn', 1 << 6], ['EgressBlck', 1 << 7]] : [['ReqEn', 1 << 6]])}`,
  ];
}

function linkTwoLines(bytes: ConfigBytes, off: number): string[] {
  const able = bytes.u32(off + PciExp.LNKCAP2);
  const [control, status] = [bytes.u16(off + PciExp.LNKCTL2), bytes.u16(off + PciExp.LNKSTA2)];
  // One bit for each speed, the slowest first.
  const speeds = bitsOf(able, 1, 7);
  const fastest = SPEEDS[32 - Math.clz32(speeds)] ?? 'unknown';
  const range = speeds <= 1 ? fastest : `2.5-${fastest}`;
  const crosslink = ['unsupported', 'unsupported', 'Upstream Port', 'Downstream Port'];
  return [
    ...(able === 0 ? [] : [`LnkCap2: Supported Link Speeds: ${range}, ${flags(able, [['Crosslink', 1 << 8], ['Retimer', 1 << 23],
      ['2Retimers', 1 << 24], ['DRS', 2 ** 31 | 0]])}`]),
    `LnkCtl2: Target Link Speed: ${SPEEDS[control & 0xf] ?? 'unknown'}, ${flags(control, [['EnterCompliance', 1 << 4],
      ['SpeedDis', 1 << 5]])}`,
    `\t Transmit Margin: ${bitsOf(control, 7, 3) === 0 ? 'Normal Operating Range' : `Reserved ${bitsOf(control, 7, 3)}`}, `
      + flags(control, [['EnterModifiedCompliance', 1 << 10], ['ComplianceSOS', 1 << 11]]),
    `\t Compliance Preset/De-emphasis: ${bitsOf(control, 12, 4) === 0 ? '-6dB de-emphasis, 0dB preshoot' : `preset ${bitsOf(control, 12, 4)}`}`,
    `LnkSta2: Current De-emphasis Level: ${(status & 1) === 0 ? '-6dB' : '-3.5dB'}, ${flags(status, [['EqualizationComplete', 2],
      ['EqualizationPhase1', 4]])}`,
    `\t ${flags(status, [['EqualizationPhase2', 8], ['EqualizationPhase3', 16], ['LinkEqualizationRequest', 32]])}`,
    `\t ${flags(status, [['Retimer', 64], ['2Retimers', 128]])} CrosslinkRes: ${crosslink[bitsOf(status, 8, 2)]}`,
  ];
}
