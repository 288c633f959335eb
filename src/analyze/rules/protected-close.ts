import type { RuleCheck } from '../grouping.ts';
import { checkMisuses, STATUS_HANDLE_NOT_CLOSABLE } from '../misuse.ts';
import { isMeantAsDescriptor } from './wrong-closer.ts';
import { spellHistory, spellTimes } from '../wording.ts';

/** `protected-close`: the close of a handle that is protected from close (HANDLE_FLAG_PROTECT_FROM_CLOSE). */
export const protectedClose: RuleCheck = checkMisuses({
  rule: 'protected-close',
  applies: (misuse, evidence) => misuse.status === STATUS_HANDLE_NOT_CLOSABLE && !isMeantAsDescriptor(misuse, evidence),
  level: () => 'warning',
  message({ subject, all, values, offender, count }) {
    const verb = values.length > 1 ? 'are' : 'is';
    const history = spellHistory(all, 'may-be-open');
    return `${subject}${history} ${verb} protected from close and stayed open: the close by ${offender} was refused${spellTimes(count)}.`;
  },
});
