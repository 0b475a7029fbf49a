// Machines of other kinds.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives on other machines');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 2, death: 2, pass: 3, hotplug: 1, sysfs: 1 };

test('without an IOMMU nothing is given away', () => lives({ name: 'no IOMMU', weights, description: { iommu: 'none' } }, 6000, 60));

test('without an IOMMU, and given away all the same', () => lives({
  name: 'unsafe', weights, description: { iommu: 'none', allowUnsafePassthrough: true },
}, 6100, 60));

test('with the devices at their own addresses', () => lives({
  name: 'passthrough topology', weights, description: { dom0: { pciback: { passthrough: true } } },
}, 6200, 60));

test('in the order of Xen', () => lives({ name: 'xenRevoke', weights, description: { xenRevoke: true } }, 6300, 60));

test.run();
