import type { RuleCheck } from '../grouping.ts';
import { isInvalidHandle, isPlaceholder, checkMisuses, wasOpen } from '../misuse.ts';
import { neverOpenMessage } from '../never-open.ts';

/** `invalid-close`: a close of a value that was never open. */
export const invalidClose: RuleCheck = checkMisuses({
  rule: 'invalid-close',
  applies: (misuse) => misuse.kind === 'close' && isInvalidHandle(misuse) && !wasOpen(misuse),
  level: ({ values }) => (values.every(isPlaceholder) ? 'note' : 'warning'),
  message: neverOpenMessage,
});
