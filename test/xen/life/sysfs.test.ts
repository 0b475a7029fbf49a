// Somebody at sysfs meanwhile: unbinds what a guest has, binds what is pciback's, removes and finds devices.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with sysfs');

test('by hand at any moment: nothing is left', () => lives({
  name: 'sysfs', weights: { create: 2, attach: 3, detach: 3, command: 2, assignable: 1, death: 1, pass: 2, sysfs: 9 },
}, 3000, 100));

test.run();
