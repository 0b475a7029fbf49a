/**
 * Says that a test is not run, and why; `npm test` lists and counts it. Call it where `test(...)` would have stood,
 * not inside a test, which would then count as passed as well.
 */
export function skipTest(name: string, reason: string): void {
  console.log(`\nSKIP ${name}: ${reason}`);
}
