import type { Misuse } from '../../evidence-model.ts';
import type { RuleCheck } from '../grouping.ts';
import { checkMisuses, spellVictims } from '../misuse.ts';
import { type CarriedOutClose, findCarriedOutCloses } from '../stale-closes.ts';
import { spellHistory, spellOffender, spellTimes } from '../wording.ts';

/**
 * `stale-close`: a close of a value that had been closed and meant another object by then. A quarantine shows it for
 * certain. Without one, the evidence is that the owner of the other object was refused, and whose code had closed it.
 */
export const staleClose: RuleCheck = checkMisuses({
  rule: 'stale-close',
  applies: ({ kind, victim }) => kind === 'close' && victim !== undefined,
  derive: findCarriedOutCloses,
  level: ({ all }) => (all.some((misuse) => !wasCarriedOut(misuse)) ? 'error' : 'warning'),
  message({ subject, all, values, offender, count }) {
    const verb = values.length > 1 ? 'were' : 'was';
    const history = `${subject}${spellHistory(all, 'was-closed')} ${verb}`;
    const again = `closed again by ${offender}${spellTimes(count)}`;
    const carriedOut = all.filter(wasCarriedOut);
    if (carriedOut.length < all.length) return `${history} ${again}: it would have closed ${spellVictims(all)}.`;
    const hit = `${history} probably ${again}`;
    if (carriedOut.every(({ consequences }) => consequences.length === 0))
      return `${hit}: by then it was the value of ${spellVictims(all)}. Run with --quarantine to be certain.`;
    const refused = spellOffender(
      carriedOut.flatMap(({ consequences: [first] }) => first ?? []),
      false,
    );
    return `${hit}: that closed ${spellVictims(all)}, which ${refused} then found closed. Run with --quarantine to be certain.`;
  },
});

function wasCarriedOut(misuse: Misuse): misuse is CarriedOutClose {
  return 'consequences' in misuse;
}
