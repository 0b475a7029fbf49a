// The checks of an access by a domain to a device that it has.
import { Pci, PciCap, PciCommand, PciExtCap } from '../../../assembly/spec/pci';
import { command, edit, isKnown, ok, refused, unknown, warning } from './checks';
import { named, sharersOfPages } from './neighbours';
import type { Access, BarFacts, Check, DeviceFacts, DomainFacts, ExplainFacts, FieldFacts } from './types';

const PAGE = 4096;
const hex = (value: number): string => value.toString(16);

export function* access(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts, asked: Access): Generator<Check> {
  if (asked.kind === 'config') yield configCheck(device, asked.register);
  else if (asked.kind === 'dma') yield* dmaChecks(facts, device, domain, asked.address);
  else if (asked.kind === 'irq') yield* interruptChecks(facts, device, domain);
  else yield* barChecks(facts, device, domain, asked);
}

function powerCheck({ bdf, powered }: DeviceFacts): Check {
  if (!isKnown(powered)) return unknown('power-state', `the power state of ${bdf} is not in the dump`);
  return powered ? ok('power-state', 'it is in D0')
    : refused('power-state', `${bdf} is in a power state in which it answers config cycles only`,
      command(`setpci -s ${bdf} CAP_PM+4.W=0:3`));
}

function* barChecks(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts,
  { kind, address }: Extract<Access, { kind: 'mmio' | 'port' }>): Generator<Check> {
  const io = kind === 'port';
  const { bdf } = device;
  yield powerCheck(device);
  const what = io ? 'ports' : 'memory';
  const own = device.bars.filter((bar) => bar.io === io && bar.index < 6 && bar.address !== 0);
  const asked = address === undefined ? own : own.filter((bar) => within(bar, address, io));
  // a frame or port beyond the device may be the domain's by another right: iomem=, ioports=
  const beyond = address !== undefined && asked.length === 0;
  if (own.length === 0 && !beyond) {
    yield refused('no-bar', `${bdf} has no ${what} BAR`, command(`lspci -v -s ${bdf}`));
    return;
  }
  const bit = io ? PciCommand.IO : PciCommand.MEMORY;
  if (!beyond) {
    yield (device.command & bit) !== 0 ? ok('decode-off', `it answers at its ${what}`)
      : refused('decode-off', `${bdf} does not answer at its ${what}: its guest has not turned it on`,
        command(`setpci -s ${bdf} COMMAND=${bit}:${bit}`));
  }
  yield rightsCheck(device, domain, io, beyond ? [{ index: -1, io, address, size: 1 }] : asked);
  if (io || beyond) return;
  const shared = sharersOfPages(facts, device, domain);
  if (!isKnown(shared)) yield unknown('page-shared',
    'a BAR\'s size is not in the dump, so another device may be in the same page');
  else if (shared.used.length + shared.idle.length === 0) yield ok('page-shared', 'no other device is in its pages');
  else yield warning('page-shared',
    `${domain.name} reaches registers of ${named(facts, [...shared.used, ...shared.idle])}, too: the page is the same`);
}

function within({ address, size }: BarFacts, asked: number, io: boolean): boolean {
  // a page at the least
  const grain = io ? 1 : PAGE;
  const first = Math.floor(address / grain) * grain;
  return asked >= first && asked < Math.ceil((address + (isKnown(size) ? size : 1)) / grain) * grain;
}

function rightsCheck({ bdf }: DeviceFacts, domain: DomainFacts, io: boolean, bars: readonly BarFacts[]): Check {
  for (const { index, address, size } of bars) {
    const bytes = isKnown(size) ? size : 1;
    const first = io ? address : Math.floor(address / PAGE);
    const count = io ? bytes : Math.ceil((address + bytes) / PAGE) - first;
    if (io ? domain.mayUsePorts(first, count) : domain.mayMap(first, count)) continue;
    const what = io ? `port${count === 1 ? '' : 's'} ${hex(first)}${count === 1 ? '' : `-${hex(first + count - 1)}`}`
      : `frame${count === 1 ? '' : 's'} ${hex(first)}${count === 1 ? '' : `-${hex(first + count - 1)}`}`;
    // attached once more, a device brings its rights along
    const remedies = index >= 0 ? [command(`xl pci-detach ${domain.name} ${bdf}`), command(`xl pci-attach ${domain.name} ${bdf}`)]
      : [edit(io ? `create ${domain.name} with ioports = ["${hex(first)}"]`
        : `create ${domain.name} with iomem = ["${hex(first)},1"]`)];
    return refused('outside-rights', `${what} ${count === 1 ? 'is' : 'are'} not among those that ${domain.name} may use`,
      ...remedies);
  }
  return ok('outside-rights', `${domain.name} may use them`);
}

function* dmaChecks(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts,
  address: number | undefined): Generator<Check> {
  const { bdf } = device;
  yield powerCheck(device);
  yield (device.command & PciCommand.MASTER) !== 0 ? ok('bus-master-off', 'it may do DMA')
    : refused('bus-master-off', `${bdf} may do no DMA: its driver has not turned bus mastering on`,
      command(`setpci -s ${bdf} COMMAND=4:4`));
  yield facts.iommu ? ok('no-iommu', 'its DMA goes through its domain\'s tables')
    : warning('no-iommu', 'there is no IOMMU: its DMA reaches all memory', edit('in the machine\'s file: "iommu": "vtd"',
      { iommu: 'vtd' }));
  if (!facts.iommu || address === undefined) return;
  const frame = Math.floor(address / PAGE);
  yield domain.dmaReaches(frame) ? ok('outside-rights', `frame ${hex(frame)} is in its tables`)
    : refused('outside-rights', `frame ${hex(frame)} is not in the tables of ${domain.name}: the unit blocks the DMA`,
      edit('a frame becomes reachable when the domain has it, or has mapped a grant of it'));
}

function* interruptChecks(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts): Generator<Check> {
  const { bdf, gsi, msi, msix } = device;
  yield powerCheck(device);
  if (!isKnown(msi) || !isKnown(msix) || !isKnown(gsi)) {
    yield unknown('no-interrupt', `how ${bdf} signals is not in the dump`);
    return;
  }
  if (msix?.enabled) {
    yield msix.masked ? refused('msix-masked', `all MSI-X vectors of ${bdf} are masked`,
      command(`setpci -s ${bdf} CAP_MSIX+2.W=0:4000`))
      : ok('msix-masked', 'it signals by MSI-X, which is not masked');
  } else if (msi?.enabled) yield ok('no-interrupt', 'it signals by MSI');
  else if (gsi === undefined || (device.command & PciCommand.INTX_DISABLE) !== 0) {
    yield refused('no-interrupt', gsi === undefined ? `${bdf} has no INTx pin, and no messages are on`
      : `INTx of ${bdf} is off, and no messages are on`,
      ...(gsi === undefined ? [edit('the guest\'s driver turns messages on')] : [command(`setpci -s ${bdf} COMMAND=0:400`)]));
  } else {
    yield ok('no-interrupt', `it signals by interrupt ${gsi}`);
    yield domain.mayUseInterrupt(gsi) ? ok('outside-rights', `${domain.name} may use interrupt ${gsi}`)
      : refused('outside-rights', `interrupt ${gsi} is not among those that ${domain.name} may use`,
        command(`xl pci-detach ${domain.name} ${bdf}`), command(`xl pci-attach ${domain.name} ${bdf}`));
  }
  if (!facts.iommu) return;
  yield facts.interruptRemapping ? ok('no-interrupt-remapping', 'interrupts are remapped')
    : warning('no-interrupt-remapping', 'interrupts are not remapped: the device can send any');
}

/** A write by the guest. Reads pass, whatever it is. */
function configCheck(device: DeviceFacts, { capability, off, width, text }: Extract<Access,
  { kind: 'config' }>['register']): Check {
  const { bdf, capabilities, fields = [], permissive, interruptControl } = device;
  if (capability !== undefined && !isKnown(capabilities)) return unknown('config-field-dropped',
    `where ${text} is, is not in the dump`);
  const found = capability === undefined || !isKnown(capabilities) ? [{ off: 0 }]
    : capabilities.filter(({ id, version }) => id === capability.id && (version !== undefined) === capability.extended);
  const base = found[capability?.instance ?? 0];
  if (base === undefined) return refused('config-field-dropped', `${bdf} has no capability for ${text}`,
    command(`lspci -vv -s ${bdf}`));
  const at = base.off + off;
  const hit = fields.filter((field) => at < field.off + field.size && field.off < at + width);
  const where = `${text.toUpperCase()} at 0x${hex(at)}`;
  if (at % width !== 0) return refused('config-field-dropped',
    `${where} is not aligned to its ${width} bytes; the answer is 0x87`);
  if (hit.length === 0) {
    return permissive ? ok('config-field-dropped', `${where} goes to the hardware: ${bdf} is permissive`)
      : refused('config-field-dropped', `a write of ${where} is dropped, with success: pciback has no field there`,
        command(`sysfs write /sys/bus/pci/drivers/pciback/permissive ${bdf}`));
  }
  const denied = hit.find((field) => field.interruptControl && !interruptControl && !permissive);
  if (denied !== undefined) {
    return refused('config-field-denied', `${denied.name} is written by Domain-0 when the guest asks it to; the answer is 0x88`,
      command(`sysfs write /sys/bus/pci/drivers/pciback/allow_interrupt_control ${bdf}`));
  }
  const writable = hit.find((field) => field.writable);
  if (writable !== undefined) return ok('config-field-dropped', `${where} is handled: ${written(writable, at)}`);
  return refused('config-field-dropped',
    `a write of ${where} is ignored: ${(hit[0] as FieldFacts).name} is never the guest's, permissive or not`,
    edit('no setting lets a guest write it'));
}

/** Of fields that take a write, how far it goes. */
function written({ name, off }: FieldFacts, at: number): string {
  if (off === Pci.COMMAND) return 'decode, parity and INTx bits are the guest\'s own picture, Bus Master and MWI reach the hardware';
  if (off >= Pci.BAR0 && off < Pci.CARDBUS_CIS) return 'all ones give the size; the address stays';
  return at >= PciExtCap.FIRST_OFF ? name : `${name}${off >= PciCap.FIRST_OFF ? ', by its rules' : ''}`;
}
