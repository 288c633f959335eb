import type { Evidence, Misuse } from '../../evidence-model.ts';
import type { RuleCheck } from '../grouping.ts';
import { isInvalidHandle, isPlaceholder, checkMisuses, wasOpen } from '../misuse.ts';
import { neverOpenMessage } from '../never-open.ts';
import { isInDescriptorLoop } from '../descriptor-loops.ts';
import { isConsequence } from '../stale-closes.ts';
import { capitalise, spellTimes, spellValues } from '../wording.ts';
import { isWrongCloser } from './wrong-closer.ts';

/** Numbers of the standard streams, which a process may be born without. */
const STANDARD_COUNT = 3n;

/**
 * `invalid-close`: a close of a value that was never open, or that Windows has for a handle of its own. A loop over
 * descriptors is a note.
 */
export const invalidClose: RuleCheck = checkMisuses({
  rule: 'invalid-close',
  applies: (misuse, evidence) =>
    isInDescriptorLoop(misuse, evidence) ||
    isStrayHandle(misuse, evidence) ||
    (misuse.kind === 'close' && isInvalidHandle(misuse) && !wasOpen(misuse)),
  level: ({ all: [first], values, object }, evidence) =>
    isInDescriptorLoop(first, evidence) ||
    values.every((value) => isPlaceholder(value) || (object.type === 'Descriptor' && value < STANDARD_COUNT))
      ? 'note'
      : 'warning',
  message(misuses, evidence) {
    const { all, values, offender, object, count } = misuses;
    const given = `${capitalise(offender)} was given ${spellValues(values, object.type)}`;
    if (isInDescriptorLoop(all[0], evidence))
      return `${given}, one number after the other${spellTimes(count)}: it loops over descriptors, open or not.`;
    if (all.some(({ kind }) => kind === 'wrong-closer'))
      return `${given}, which ${values.length > 1 ? 'are handles' : 'is a handle'} that the program had not opened${spellTimes(count)}.`;
    return neverOpenMessage(misuses);
  },
});

/** The value of a handle that Windows opened for itself, in a function for other objects. */
function isStrayHandle(misuse: Misuse, evidence: Evidence): boolean {
  return (
    misuse.kind === 'wrong-closer' &&
    misuse.outcome !== 'closed' &&
    !/^(?:Descriptor|FILE|Search)$/.test(misuse.object?.type ?? '') &&
    !isConsequence(misuse, evidence) &&
    !isWrongCloser(misuse, evidence)
  );
}
