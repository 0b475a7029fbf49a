// The other end is missing, or of another kind.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with other ends');

const weights = { create: 3, attach: 4, detach: 4, command: 2, assignable: 1, death: 2, pass: 3, sysfs: 1 };
const fronts = ['linux', 'none', 'wrong-magic', 'no-timeout'];

test('front ends that are missing or of another version', () => lives({ name: 'fronts', weights, fronts }, 5000, 70));

test('a back end that answers nothing', () => lives({
  name: 'silent', weights, fronts, description: { dom0: { pciback: { kind: 'silent' } } },
}, 5100, 40));

test('a back end that filters nothing', () => lives({
  name: 'netbsd', weights, fronts, description: { dom0: { pciback: { kind: 'netbsd' } } },
}, 5200, 40));

test('no back end', () => lives({ name: 'no pciback', weights, fronts, description: { dom0: { pciback: { kind: 'none' } } } }, 5300, 40));

test.run();
