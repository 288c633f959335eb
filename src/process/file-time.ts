/** Milliseconds from 1601, when FILETIMEs begin, to 1970. */
const FROM_1601_TO_1970_MS = 11_644_473_600_000n;
/** A FILETIME counts 100 ns. https://learn.microsoft.com/windows/win32/api/minwinbase/ns-minwinbase-filetime */
const TICKS_PER_MS = 10_000n;

/**
 * Address of KUSER_SHARED_DATA.SystemTime in every process: the present FILETIME, exact to the clock tick.
 * https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/ns-ntddk-kuser_shared_data
 */
export const SYSTEM_TIME_ADDRESS = 0x7ffe_0014;

/** Now, as a FILETIME. */
export function fileTimeNow(): bigint {
  return (BigInt(Date.now()) + FROM_1601_TO_1970_MS) * TICKS_PER_MS;
}

/** A FILETIME, without its part of a millisecond; `undefined` for 0, which means never, and for a negative one. */
export function fileTimeToDate(fileTime: bigint): Date | undefined {
  if (fileTime <= 0n) return undefined;
  return new Date(Number(fileTime / TICKS_PER_MS - FROM_1601_TO_1970_MS));
}

/** A FILETIME as ISO 8601 with all its seven digits of a second; `undefined` as for {@link fileTimeToDate}. */
export function fileTimeToIso(fileTime: bigint): string | undefined {
  const rest = String(fileTime % TICKS_PER_MS).padStart(4, '0');
  return fileTimeToDate(fileTime)?.toISOString().replace('Z', `${rest}Z`);
}
