import type { RuleCheck } from '../grouping.ts';
import { isInvalidHandle, isPlaceholder, checkMisuses, wasOpen } from '../misuse.ts';
import { neverOpenMessage } from '../never-open.ts';
import { dissect } from '../stacks.ts';
import { isProbe } from '../windows-calls.ts';

/** `invalid-use`: a call with a value that was never open. */
export const invalidUse: RuleCheck = checkMisuses({
  rule: 'invalid-use',
  applies: (misuse) => misuse.kind === 'use' && isInvalidHandle(misuse) && !wasOpen(misuse),
  level({ values, all: [first] }) {
    const { api } = dissect(first.offending.stack);
    return values.every(isPlaceholder) || (api !== undefined && isProbe(api)) ? 'note' : 'warning';
  },
  message: neverOpenMessage,
});
