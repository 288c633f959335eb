// Fails: two tests leave handles open. test/windows/audit/verify.test.ts runs it.
import { describe, it } from 'node:test';

import { assertNoLeaks, verifyNoLeaks } from 'unclosed/node-test';
import { close, makePipe, open } from '../open-handles.mjs';

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
