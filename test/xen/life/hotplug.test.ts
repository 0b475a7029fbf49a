// Devices of the machine that are pulled out and put in, whoever has them.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with devices that come and go');

test('pulled out under a guest, in the middle of a command, under traffic: nothing is left', () => lives({
  name: 'hot-plug', killed: 1, beside: 4,
  weights: { create: 2, attach: 3, detach: 3, command: 2, assignable: 1, death: 1, pass: 3, traffic: 1, hotplug: 5, sysfs: 1 },
}, 4000, 110));

test.run();
