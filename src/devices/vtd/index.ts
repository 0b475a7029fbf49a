// Intel VT-d remapping unit, legacy mode, register interface version 1.0. Left out: scalable mode, device TLBs, page
// requests, posted interrupts, protected memory regions, extended interrupt mode, the advanced fault log.
import { Model } from '../../../assembly/spec/state';
import type { DeviceDefinition } from '../definition';
import { VTD_REGISTERS } from './registers';

export const vtd: DeviceDefinition = {
  model: 'vtd',
  title: 'System peripheral: Intel VT-d remapping unit',
  engineModel: Model.VTD,
  window: { size: 4096 },
  registers: [VTD_REGISTERS],
  stateSize: 0,
};
