// Guests whose network cards are busy all the time.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives under traffic');

test('frames come in whatever happens: nothing is left', () => lives({
  name: 'traffic', weights: { create: 2, attach: 3, detach: 3, command: 2, death: 2, pass: 2, traffic: 6 },
}, 1500, 90));

test.run();
