import type { Judge } from './grouping.ts';
import { isPlaceholder, neverOpenMessage } from './never-open.ts';
import { misuseRule, STATUS_INVALID_HANDLE, wasOpen } from './misuse.ts';

/** `invalid-close`: a close of a value that was never open. */
export const invalidClose: Judge = misuseRule({
  rule: 'invalid-close',
  applies: (misuse) => misuse.kind === 'close' && misuse.status === STATUS_INVALID_HANDLE && !wasOpen(misuse),
  level: ({ values }) => (values.every(isPlaceholder) ? 'note' : 'warning'),
  message: neverOpenMessage,
});
