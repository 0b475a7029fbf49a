// Back ends of another kind, with front ends of each kind.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with other back ends');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 1, death: 2, pass: 3, sysfs: 1 };
const fronts = ['linux', 'linux', 'none', 'wrong-magic', 'no-timeout'];

test('one that answers nothing', () => lives({
  name: 'silent', weights, fronts, description: { dom0: { pciback: { kind: 'silent' } } },
}, 5100, 60));

test('one that filters nothing', () => lives({
  name: 'netbsd', weights, fronts, description: { dom0: { pciback: { kind: 'netbsd' } } },
}, 5200, 60));

test.run();
