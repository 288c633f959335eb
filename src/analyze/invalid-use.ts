import type { Judge } from './grouping.ts';
import { isPlaceholder, neverOpenMessage } from './never-open.ts';
import { misuseRule, STATUS_INVALID_HANDLE, wasOpen } from './misuse.ts';
import { dissect } from './stacks.ts';
import { isProbe } from './windows-calls.ts';

/** `invalid-use`: a call with a value that was never open. */
export const invalidUse: Judge = misuseRule({
  rule: 'invalid-use',
  applies: (misuse) => misuse.kind === 'use' && misuse.status === STATUS_INVALID_HANDLE && !wasOpen(misuse),
  level({ values, all: [first] }) {
    const { api } = dissect(first.offending.stack);
    return values.every(isPlaceholder) || (api !== undefined && isProbe(api)) ? 'note' : 'warning';
  },
  message: neverOpenMessage,
});
