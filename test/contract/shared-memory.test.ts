// The same tests on the artefact for shared memory. The first import chooses it, so it stays the first.
import '../helpers/shared-memory';
import '../devices/e1000/registers.test';
import '../devices/e1000/rings.test';
import '../lab/cell.test';
import '../engine/position.test';
