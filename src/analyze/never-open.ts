import type { Misuses } from './misuse.ts';
import { spellTimes, spellValues } from './wording.ts';

/**
 * The value says of itself that it is no handle: NULL, INVALID_HANDLE_VALUE, or one of the pseudo handles -2 to -6
 * (GetCurrentThread, GetCurrentProcessToken and others), which need no closing. Cleaning up what may not have been
 * opened is how most of them come to be closed.
 */
export function isPlaceholder(value: bigint): boolean {
  const signed = BigInt.asIntN(64, value);
  return signed <= 0n && signed >= -6n;
}

/** `CloseHandle at main (a.c:5) was given 0xbad0, which was never an open handle.` */
export function neverOpenMessage({ offender, values, count }: Misuses): string {
  const given = spellValues(values);
  const relative = values.length > 1 ? 'none of which was ever an open handle' : 'which was never an open handle';
  return `${offender.charAt(0).toUpperCase()}${offender.slice(1)} was given ${given}, ${relative}${spellTimes(count)}.`;
}
