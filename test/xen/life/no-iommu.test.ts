// Machines without an IOMMU.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives without an IOMMU');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 2, death: 2, pass: 3, hotplug: 1, sysfs: 1 };

test('nothing is given away', () => lives({ name: 'no IOMMU', weights, description: { iommu: 'none' } }, 6000, 60));

test('devices are given away all the same', () => lives({
  name: 'unsafe', weights, description: { iommu: 'none', allowUnsafePassthrough: true },
}, 6100, 70));

test.run();
