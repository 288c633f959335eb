import type { Judge } from './grouping.ts';
import { misuseRule, STATUS_INVALID_HANDLE, wasOpen } from './misuse.ts';
import { spellHistory, spellTimes } from './wording.ts';

/** `use-after-close`: a call with a value that had been closed. */
export const useAfterClose: Judge = misuseRule({
  rule: 'use-after-close',
  applies: (misuse) => misuse.kind === 'use' && misuse.status === STATUS_INVALID_HANDLE && wasOpen(misuse),
  level: () => 'error',
  message({ subject, all, values, offender, count }) {
    const verb = values.length > 1 ? 'were' : 'was';
    return `${subject}${spellHistory(all, 'was-closed')} ${verb} used after that by ${offender}${spellTimes(count)}.`;
  },
});
