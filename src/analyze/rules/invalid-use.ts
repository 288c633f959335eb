import type { RuleCheck } from '../grouping.ts';
import { isInvalidHandle, isPlaceholder, checkMisuses, wasOpen } from '../misuse.ts';
import { neverOpenMessage } from '../never-open.ts';
import { isProbe } from '../windows-calls.ts';

/** `invalid-use`: a call with a value that was never open. */
export const invalidUse: RuleCheck = checkMisuses({
  rule: 'invalid-use',
  applies: (misuse) => misuse.kind === 'use' && isInvalidHandle(misuse) && !wasOpen(misuse),
  level: ({ values, all: [first] }) => (values.every(isPlaceholder) || isProbe(first.offending) ? 'note' : 'warning'),
  message: neverOpenMessage,
});
