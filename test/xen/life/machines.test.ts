// Machines with other settings.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives on other machines');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 2, death: 2, pass: 3, hotplug: 1, sysfs: 1 };

test('with the devices at their own addresses', () => lives({
  name: 'passthrough topology', weights, description: { dom0: { pciback: { passthrough: true } } },
}, 6200, 60));

test('in the order of Xen', () => lives({ name: 'xenRevoke', weights, description: { xenRevoke: true } }, 6300, 70));

test.run();
