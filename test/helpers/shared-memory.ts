// Imported in front of a test file, it makes its tests run on the artefact for shared memory.
import { chooseArtefact } from './artefact';

chooseArtefact('shared');
