/**
 * Milliseconds on a clock that never goes back: `performance.now()` without the part of Node.js that the first use of
 * `performance` loads.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Now, as a FILETIME: 100 ns since 1601. */
export function fileTimeNow(): bigint {
  return BigInt(Date.now()) * 10_000n + 116_444_736_000_000_000n;
}
