import type { RuleCheck } from '../grouping.ts';
import { doubtfulMessage, checkMisuses, STATUS_INVALID_HANDLE, wasCertainlyClosed, wasOpen } from '../misuse.ts';
import { isConsequence } from '../stale-closes.ts';
import { spellHistory, spellTimes } from '../wording.ts';

/** `use-after-close`: a call with a value that had been closed. */
export const useAfterClose: RuleCheck = checkMisuses({
  rule: 'use-after-close',
  applies: (misuse, evidence) =>
    misuse.kind === 'use' &&
    misuse.status === STATUS_INVALID_HANDLE &&
    wasOpen(misuse) &&
    misuse.victim === undefined &&
    !isConsequence(misuse, evidence),
  level: ({ all }) => (all.every(wasCertainlyClosed) ? 'error' : 'note'),
  message(misuses) {
    const { subject, all, values, offender, count } = misuses;
    if (!all.every(wasCertainlyClosed)) return doubtfulMessage(misuses);
    const verb = values.length > 1 ? 'were' : 'was';
    return `${subject}${spellHistory(all, 'was-closed')} ${verb} used after that by ${offender}${spellTimes(count)}.`;
  },
});
