import type { Judge } from '../grouping.ts';
import { isInvalidHandle, isPlaceholder, misuseRule, wasOpen } from '../misuse.ts';
import { neverOpenMessage } from '../never-open.ts';
import { dissect } from '../stacks.ts';
import { isProbe } from '../windows-calls.ts';

/** `invalid-use`: a call with a value that was never open. */
export const invalidUse: Judge = misuseRule({
  rule: 'invalid-use',
  applies: (misuse) => misuse.kind === 'use' && isInvalidHandle(misuse) && !wasOpen(misuse),
  level({ values, all: [first] }) {
    const { api } = dissect(first.offending.stack);
    return values.every(isPlaceholder) || (api !== undefined && isProbe(api)) ? 'note' : 'warning';
  },
  message: neverOpenMessage,
});
