import type { RuleCheck } from '../grouping.ts';
import { checkMisuses, spellVictims } from '../misuse.ts';
import { spellHistory, spellTimes } from '../wording.ts';

/**
 * `stale-close`: a close of a value that had been closed and would by then have meant another object. Only a quarantine
 * shows it.
 */
export const staleClose: RuleCheck = checkMisuses({
  rule: 'stale-close',
  applies: ({ kind, victim }) => kind === 'close' && victim !== undefined,
  level: () => 'error',
  message({ subject, all, values, offender, count }) {
    const verb = values.length > 1 ? 'were' : 'was';
    return `${subject}${spellHistory(all, 'was-closed')} ${verb} closed again by ${offender}${spellTimes(count)}: it would have closed ${spellVictims(all)}.`;
  },
});
