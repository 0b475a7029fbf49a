// Adds up the summaries of several runs: node scripts/ci-summary.mjs FILE ...
// A summary that is missing belongs to a run that broke off, which is a failure.
import path from 'node:path';
import { readJson } from './files.mjs';
import { addTo, closingLine, exitCodeOf, newTally } from './test-results.mjs';

const tally = newTally();
for (const file of process.argv.slice(2)) {
  const summary = readJson(file);
  if (!summary) console.log(`FAIL ${path.basename(file, '.json')} broke off and left no counts`);
  addTo(tally, summary ?? { passed: 0, failed: 1, skips: [] });
}
if (tally.skips.length > 0) console.log('\nSkipped:');
for (const skip of tally.skips) console.log(`  ${skip}`);
console.log(`\n${closingLine(tally)}`);
process.exitCode = exitCodeOf(tally);
