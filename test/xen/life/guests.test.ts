// Guests and their devices on a machine as it is meant to be.
import { suite } from 'uvu';
import { lives } from '../../helpers/life';

const test = suite('lives of guests');

test('in any order of commands and deaths: nothing is left', () => lives({
  name: 'guests', weights: { create: 2, attach: 4, detach: 4, command: 3, assignable: 1, death: 2, pass: 3, traffic: 1 },
}, 1000, 110));

test.run();
