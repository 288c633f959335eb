import type { Misuses } from './misuse.ts';
import { capitalise, spellTimes, spellValues } from './wording.ts';

/** `CloseHandle at main (a.c:5) was given 0xbad0, which was never an open handle.` */
export function neverOpenMessage({ offender, values, count }: Misuses): string {
  const given = spellValues(values);
  const relative = values.length > 1 ? 'none of which was ever an open handle' : 'which was never an open handle';
  return `${capitalise(offender)} was given ${given}, ${relative}${spellTimes(count)}.`;
}
