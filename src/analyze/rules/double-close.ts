import type { RuleCheck } from '../grouping.ts';
import { doubtfulMessage, checkMisuses, STATUS_INVALID_HANDLE, wasCertainlyClosed, wasOpen } from '../misuse.ts';
import { isConsequence } from '../stale-closes.ts';
import { spellHistory, spellTimes } from '../wording.ts';
import { isInDescriptorLoop } from '../descriptor-loops.ts';
import { isCloseOfClosedBeneath, isMeantAsDescriptor } from './wrong-closer.ts';

/** `double-close`: a close of a value that had been opened and closed. */
export const doubleClose: RuleCheck = checkMisuses({
  rule: 'double-close',
  applies: (misuse, evidence) =>
    misuse.kind === 'close' &&
    misuse.status === STATUS_INVALID_HANDLE &&
    wasOpen(misuse) &&
    misuse.victim === undefined &&
    !isInDescriptorLoop(misuse, evidence) &&
    !isMeantAsDescriptor(misuse, evidence) &&
    !isCloseOfClosedBeneath(misuse, evidence) &&
    !isConsequence(misuse, evidence),
  closesInAnyOrder: true,
  level: ({ all }) => (all.every(wasCertainlyClosed) ? 'error' : 'note'),
  message(misuses) {
    const { subject, all, values, offender, count } = misuses;
    if (!all.every(wasCertainlyClosed)) return doubtfulMessage(misuses);
    const verb = values.length > 1 ? 'were' : 'was';
    return `${subject}${spellHistory(all, 'was-closed')} ${verb} closed again by ${offender}${spellTimes(count)}.`;
  },
});
