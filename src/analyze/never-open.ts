import type { Misuses } from './misuse.ts';
import { spellNoun } from './object-noun.ts';
import { capitalise, spellTimes, spellValues } from './wording.ts';

/** `CloseHandle at main (a.c:5) was given 0xbad0, which was never an open handle.` */
export function neverOpenMessage({ offender, object, values, count }: Misuses): string {
  const given = spellValues(values, object.type);
  const relative = `${values.length > 1 ? 'none of which was ever' : 'which was never'} an open ${spellNoun(object)}`;
  return `${capitalise(offender)} was given ${given}, ${relative}${spellTimes(count)}.`;
}
