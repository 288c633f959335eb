// Fails: some tests leave handles open. test/windows/audit/verify.test.ts runs it.
import { afterEach, describe, it } from 'node:test';

import { assertNoLeaks, verifyNoLeaks } from 'unclosed/node-test';
import { close, makePipe, open } from '../open-handles.mjs';

afterEach(({ name }) => {
  if (name === 'has a hook that fails') throw new Error('as it was told to');
});
verifyNoLeaks({ settleMs: 200 });

describe('Cache', () => {
  it('keeps', () => close(open()));
  it('evicts', () => {
    open();
  });
  it('owns', () => {
    makePipe();
  });
  it('closes late', () => {
    const file = open();
    setTimeout(() => close(file), 50);
  });
});

it('is told of a leak by a call', async () => await assertNoLeaks(() => makePipe(), { settleMs: 0 }));

it('has a hook that fails', () => {});
it('leaks after a hook that failed', () => {
  open();
});
