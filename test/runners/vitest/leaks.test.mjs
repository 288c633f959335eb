// Fails: some tests leave handles open. test/windows/audit/verify.test.ts runs it.
import { afterEach, describe, expect, it } from 'vitest';

import { verifyNoLeaks } from 'unclosed/vitest';
import { close, makePipe, open } from '../open-handles.mjs';

verifyNoLeaks({ settleMs: 200 });
afterEach(({ task }) => {
  if (task.name === 'has a hook that fails') throw new Error('as it was told to');
});

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

it('has a hook that fails', () => {});
it('leaks after a hook that failed', () => {
  open();
});

describe.concurrent('at the same time', () => {
  const meet = () => new Promise((resolve) => setTimeout(resolve, 100));
  it('one leaks', async () => {
    open();
    await meet();
  });
  it('the other does not', meet);
});
