import { expect, it } from 'vitest';

import { AbortEvent, waitForOne, waitForOneWithin } from '../../../src/audit/wait.ts';
import { BorrowedHandle, unsafeRawHandle } from '../../../src/io/index.ts';
import { HANG_MS } from '../../hang.ts';

const neverOpen = BorrowedHandle.borrowRaw(unsafeRawHandle(0x7fff_fff0n));

it('waits for the first of several events, or for a while', async () => {
  using open = new AbortEvent(undefined);
  using set = new AbortEvent(AbortSignal.abort());
  expect(await waitForOneWithin(HANG_MS, [open, set])).toBe(set);
  expect(await waitForOneWithin(0, [open])).toBeUndefined();
});

it.each([
  ['for ever', async () => await waitForOne([neverOpen])],
  ['for a while', async () => await waitForOneWithin(HANG_MS, [neverOpen])],
])('fails where Windows cannot wait, %s', async (_how, wait) => {
  await expect(wait()).rejects.toThrow('Cannot wait for the target: WaitForMultipleObjects returned 0xffffffff.');
});
