// Commands of the toolstack that are killed in the middle, and kernels that die.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives with kills');

test('most commands are killed on their way, or run beside each other', () => lives({
  name: 'kills', killed: 5, beside: 3, weights: { create: 2, attach: 4, detach: 4, command: 3, assignable: 1, death: 4, pass: 3 },
}, 2000, 110));

test.run();
