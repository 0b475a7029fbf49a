// What a run of tests amounts to: reading uvu's totals, adding up, the closing line.

const TOTALS = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * Counts one test file's run. A crash, a time-out or a run without totals is one failure: a file that ends early must
 * not look like one that has fewer tests.
 * @param {{ code: number, output: string, timedOut: boolean, signal?: string | null }} run
 */
export function countFile({ code, output, timedOut, signal }) {
  const text = output.replace(COLOURS, '');
  const skips = linesOf(text, 'SKIP ');
  const warnings = linesOf(text, 'WARN ');
  const totals = [...text.matchAll(TOTALS)].pop();
  const [total, passed, unnamed] = totals ? totals.slice(1).map(Number) : [0, 0, 0];
  for (let i = 0; i < unnamed; i++) skips.push('a test with no reason given (test.skip, or left out by test.only)');

  let failed = total - passed;
  let problem = '';
  if (timedOut) problem = 'killed: it ran too long';
  else if (!totals) problem = `ended ${signal ? `by ${signal}` : `with exit code ${code}`} and without totals`;
  else if (code !== 0 && failed === 0) problem = `ended with exit code ${code} though every test passed`;
  else if (total === 0 && skips.length === 0) problem = 'ran no test';
  if (problem) failed += 1;
  return { passed, failed, skips, warnings, problem };
}

function linesOf(text, mark) {
  return text.split('\n').filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
}

/** A running total; `skips` are `name: reason` texts. */
export function newTally() {
  return { passed: 0, failed: 0, skips: [] };
}

export function addTo(tally, { passed, failed, skips }) {
  tally.passed += passed;
  tally.failed += failed;
  tally.skips.push(...skips);
}

/** The line that everything ends with. */
export function closingLine({ passed, failed, skips }) {
  return `${passed} passed, ${failed} failed` + (skips.length > 0 ? `, ${skips.length} skipped` : '');
}

/** 1 if anything failed or nothing ran. */
export function exitCodeOf({ passed, failed }) {
  return failed > 0 || passed === 0 ? 1 : 0;
}
