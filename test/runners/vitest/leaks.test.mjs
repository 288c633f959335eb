// Fails: two tests leave handles open. test/windows/audit/verify.test.ts runs it.
import { describe, expect, it } from 'vitest';

import { verifyNoLeaks } from 'unclosed/vitest';
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

it('is told of a leak by a call', async () => await expect(() => makePipe()).toLeaveNoHandles({ settleMs: 0 }));

describe.concurrent('at the same time', () => {
  const meet = () => new Promise((resolve) => setTimeout(resolve, 100));
  it('one leaks', async () => {
    open();
    await meet();
  });
  it('the other does not', meet);
});
