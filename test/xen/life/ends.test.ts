// Front ends that are missing, or of another kind.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with other front ends');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 1, death: 2, pass: 3, sysfs: 1 };
const fronts = ['none', 'wrong-magic', 'no-timeout', 'linux'];

test('with pciback of Linux', () => lives({ name: 'fronts', weights, fronts }, 5000, 70));

test('without pciback', () => lives({
  name: 'no pciback', weights, fronts, description: { dom0: { pciback: { kind: 'none' } } },
}, 5300, 40));

test.run();
