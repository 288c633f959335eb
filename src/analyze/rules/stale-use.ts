import type { RuleCheck } from '../grouping.ts';
import { checkMisuses, spellVictims } from '../misuse.ts';
import { spellHistory, spellTimes } from '../wording.ts';

/**
 * `stale-use`: a call with a value that had been closed and would by then have meant another object. Only a quarantine
 * shows it.
 */
export const staleUse: RuleCheck = checkMisuses({
  rule: 'stale-use',
  applies: ({ kind, victim }) => kind === 'use' && victim !== undefined,
  level: () => 'error',
  message({ subject, all, values, offender, count }) {
    const verb = values.length > 1 ? 'were' : 'was';
    return `${subject}${spellHistory(all, 'was-closed')} ${verb} used after that by ${offender}${spellTimes(count)}: it would have reached ${spellVictims(all)}.`;
  },
});
