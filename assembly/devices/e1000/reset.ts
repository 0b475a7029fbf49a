import { E1000 } from '../../spec/e1000';
import { E1000Part } from '../../spec/e1000-state';
import { familyReset } from '../e1000-family/reset';

export function e1000Reset(b: usize, fn: u32): void {
  familyReset(b, fn, E1000Part.M82540, E1000.IO_BAR);
}
