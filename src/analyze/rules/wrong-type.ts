import type { RuleCheck } from '../grouping.ts';
import { isInvalidHandle, checkMisuses, STATUS_OBJECT_TYPE_MISMATCH } from '../misuse.ts';
import { isProbe } from '../windows-calls.ts';
import { spellNoun } from '../object-noun.ts';
import { capitalise, spellTimes, spellValues } from '../wording.ts';

/**
 * `wrong-type`: the call does not fit the object's type. A refusal of an object whose type fits never gets here: it is
 * a peculiarity of the system. Where the type is not known it may be one, so the finding is a note.
 */
export const wrongType: RuleCheck = checkMisuses({
  rule: 'wrong-type',
  applies: (misuse) =>
    misuse.kind === 'use' && misuse.status === STATUS_OBJECT_TYPE_MISMATCH && !isInvalidHandle(misuse),
  level: ({ object, all: [first] }) => (object.type === 'Unknown' || isProbe(first.offending) ? 'note' : 'warning'),
  message({ offender, object, values, count }) {
    const plural = values.length > 1 ? 's' : '';
    const article = /^[aeiou]/i.test(object.type) ? 'an' : 'a';
    const noun =
      values.length > 1 ? spellNoun(object) : `${object.type === 'Unknown' ? 'a' : article} ${spellNoun(object)}`;
    return `${capitalise(offender)} was given ${noun}${plural} (${spellValues(values)}), but the call works on another type of object${spellTimes(count)}.`;
  },
});
