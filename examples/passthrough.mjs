// A guest gets a device, uses it, and then tries to reach the memory of dom0 with it.
//   npm run build && node examples/passthrough.mjs
import { EduDriver, Machine } from 'portcullis';

const machine = await Machine.create({ iommu: 'vtd', devices: [{ model: 'edu', bdf: '0000:00:06.0' }] });
const domain = machine.createDomain({ name: 'guest', memory: '16MiB' });
machine.assign('0000:00:06.0', domain, 'own-frames');

const edu = new EduDriver(machine.guest(domain), machine.routingOf('0000:00:06.0'), { mode: 'direct' });
console.log(`10! = ${edu.factorial(10)}`);

edu.transferBus(machine.dom0.p2m[1] * 4096, 0, 64, false); // DMA into a frame of dom0
const [fault] = machine.hypervisor.iommu.takeFaults();
console.log(`stopped: ${fault.access} at 0x${fault.iova.toString(16)}, ${fault.text}`);
