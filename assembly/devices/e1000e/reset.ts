import { E1000Part } from '../../spec/e1000-state';
import { E1000e } from '../../spec/e1000e';
import { familyReset } from '../e1000-family/reset';

/** The MSI-X table is not the chip's to reset: it goes with config space. */
export function e1000eReset(b: usize, fn: u32): void {
  familyReset(b, fn, E1000Part.M82574, E1000e.IO_BAR);
}
