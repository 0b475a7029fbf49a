/** `xl list -l`: domain and config as libxl's JSON has them, as far as they are modelled. */

import { formatBdf } from '../../pci/bdf';
import type { DomainConfig } from './domain-config';
import type { PciSpec } from './pci-spec';

/** libxl writes a defaulted boolean as text. */
const flag = (value: boolean): 'True' | 'False' => (value ? 'True' : 'False');

function describeDevice(spec: PciSpec): Record<string, unknown> {
  return {
    ...(spec.address !== undefined && {
      func: spec.address.function, dev: spec.address.device, bus: spec.address.bus, domain: spec.address.segment,
      bdf: formatBdf(spec.address),
    }),
    ...(spec.name !== undefined && { name: spec.name }),
    ...(spec.vslot !== undefined && { vdevfn: spec.vslot << 3 }),
    msitranslate: spec.msitranslate, power_mgmt: spec.powerMgmt, permissive: spec.permissive, seize: spec.seize,
    rdm_policy: spec.rdmPolicy,
  };
}

export function describeDomain(domid: number | undefined, config: DomainConfig): Record<string, unknown> {
  return {
    ...(domid !== undefined && { domid }),
    config: {
      c_info: {
        type: config.type, name: config.name, ...(config.uuid !== undefined && { uuid: config.uuid }),
        passthrough: config.pci.length > 0 && config.passthrough === 'default' ? 'enabled' : config.passthrough,
      },
      b_info: {
        max_vcpus: config.vcpus, max_memkb: config.memory * 1024, target_memkb: config.memory * 1024, kernel: config.kernel,
        cmdline: config.commandLine, [`type.${config.type}`]: { e820_host: flag(config.e820Host) },
      },
      ...(config.pci.length > 0 && { pcidevs: config.pci.map(describeDevice) }),
      on_poweroff: config.onPoweroff, on_reboot: config.onReboot, on_crash: config.onCrash,
    },
  };
}
