/**
 * Milliseconds on a clock that never goes back: `performance.now()` without the part of Node.js that the first use of
 * `performance` loads.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
