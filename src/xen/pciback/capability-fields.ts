import { Msi, Msix, Pci, PciCap, PciCommand, Pm } from '../../../assembly/spec/pci';
import { findCapability } from '../../pci/find-capability';
import { type ConfigField, configField, type FieldDevice, rawField } from './config-field';
import type { RawConfig } from './raw-config';
import { PCI_ERR } from './types';

const VPD_ADDRESS = 0x02;
const VPD_DATA = 0x04;
/** VPD address, bit 15: a write cycle. */
const VPD_WRITE = 0x8000;

/** Data Select. */
const PMCSR_DATA_SELECT = 0x1e00;
const PMCSR_GUEST = Pm.PMCSR_PME_STATUS | PMCSR_DATA_SELECT;
/** PMC bits 15:11: in which states PME# can be signalled. A guest is shown none. */
const PMC_PME = 0xf800;
const PM_BRIDGE = 0x06;
const PM_DATA = 0x07;

function writePmcsr(device: FieldDevice, off: number, value: number): number {
  const { raw } = device;
  const now = raw.get(off, 2);
  const next = (now & ~PMCSR_GUEST) | (value & PMCSR_GUEST);
  if (next !== now) raw.set(off, 2, next);
  return setPowerState(device, off, value & Pm.PMCSR_STATE_MASK) ? 0 : PCI_ERR.ACCESS_DENIED;
}

/** Whether the function is then in that state. One that it does not have is not tried. */
function setPowerState({ raw, keepState }: FieldDevice, pmcsr: number, state: number): boolean {
  const now = raw.get(pmcsr, 2);
  if ((now & Pm.PMCSR_STATE_MASK) === state) return true;
  const pmc = raw.get(pmcsr + Pm.PMC - Pm.PMCSR, 2);
  if (state === Pm.STATE_D1 && (pmc & Pm.PMC_D1) === 0) return false;
  if (state === Pm.STATE_D2 && (pmc & Pm.PMC_D2) === 0) return false;
  const set = (): void => raw.set(pmcsr, 2, (now & ~Pm.PMCSR_STATE_MASK & ~Pm.PMCSR_PME_STATUS) | state);
  if (state === 0) keepState(set);
  else set();
  return (raw.get(pmcsr, 2) & Pm.PMCSR_STATE_MASK) === state;
}

function disablePme(raw: RawConfig, pmcsr: number): void {
  const now = raw.get(pmcsr, 2);
  if ((now & Pm.PMCSR_PME_ENABLE) !== 0) raw.set(pmcsr, 2, now & ~Pm.PMCSR_PME_ENABLE & ~Pm.PMCSR_PME_STATUS);
}

/** How the hardware may signal, as bits: a message, a message of MSI-X, or, when neither is on, its INTx pin. */
const INTX = 1;
const MSI = 2;
const MSIX = 4;

function signals(raw: RawConfig): number {
  const msi = findCapability(raw.access, PciCap.MSI);
  const msix = findCapability(raw.access, PciCap.MSIX);
  const messages = (msi !== 0 && (raw.get(msi + Msi.CONTROL, 2) & Msi.CONTROL_ENABLE) !== 0 ? MSI : 0)
    | (msix !== 0 && (raw.get(msix + Msix.CONTROL, 2) & Msix.CONTROL_ENABLE) !== 0 ? MSIX : 0);
  return messages !== 0 ? messages : (raw.get(Pci.COMMAND, 2) & PciCommand.INTX_DISABLE) === 0 ? INTX : 0;
}

/**
 * MSI and MSI-X control: what enables them is the operation, done by the first domain. The bits are for a stub domain
 * that runs a device model, with allow_interrupt_control.
 */
function writeControl({ raw, permissive, interruptControl }: FieldDevice, off: number, value: number, kind: number): number {
  if (permissive) return raw.write(off, 2, value);
  const now = raw.get(off, 2);
  if (value === now) return 0;
  const [enable, allowed] = kind === MSI ? [Msi.CONTROL_ENABLE, Msi.CONTROL_ENABLE]
    : [Msix.CONTROL_ENABLE, Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK];
  if (!interruptControl || ((value ^ now) & ~allowed) !== 0) return PCI_ERR.ACCESS_DENIED;
  const how = signals(raw);
  if ((value & enable) !== 0 && how !== 0 && how !== INTX && how !== kind) return PCI_ERR.ACCESS_DENIED;
  return raw.write(off, 2, value);
}

type Fields = (at: number) => ConfigField[];

/** Capabilities that have fields; of all others a guest reads everything and writes nothing. */
const CAPABILITIES: ReadonlyArray<readonly [id: number, name: string, fields: Fields]> = [
  [PciCap.VPD, 'VPD', (at) => [
    configField('VPD Address', at + VPD_ADDRESS, 2, {
      write: ({ raw }, value) => (value & VPD_WRITE) !== 0 ? PCI_ERR.ACCESS_DENIED : raw.write(at + VPD_ADDRESS, 2, value),
    }),
    configField('VPD Data', at + VPD_DATA, 4),
  ]],
  [PciCap.PM, 'Power Management', (at) => [
    configField('PMC', at + Pm.PMC, 2, { read: ({ raw }) => raw.get(at + Pm.PMC, 2) & ~PMC_PME }),
    configField('PMCSR', at + Pm.PMCSR, 2, { write: (device, value) => writePmcsr(device, at + Pm.PMCSR, value) }),
    configField('PM Bridge Extensions', at + PM_BRIDGE, 1),
    configField('PM Data', at + PM_DATA, 1),
  ]],
  [PciCap.MSI, 'MSI', (at) => [
    configField('MSI Control', at + Msi.CONTROL, 2,
      { write: (device, value) => writeControl(device, at + Msi.CONTROL, value, MSI) }),
  ]],
  [PciCap.MSIX, 'MSI-X', (at) => [
    configField('MSI-X Control', at + Msix.CONTROL, 2,
      { write: (device, value) => writeControl(device, at + Msix.CONTROL, value, MSIX) }),
  ]],
];

/** The fields of the capabilities that a function has when it is seized. PME# is turned off. */
export function capabilityFields(raw: RawConfig): ConfigField[] {
  return CAPABILITIES.flatMap(([id, name, fields]) => {
    const at = findCapability(raw.access, id);
    if (at === 0) return [];
    if (id === PciCap.PM) disablePme(raw, at + Pm.PMCSR);
    return [configField(`${name} Capability`, at, 2), ...fields(at)];
  });
}
