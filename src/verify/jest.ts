import { spellHandles } from './handles-left-error.ts';
import { findLeft, LeakWatch } from './leak-watch.ts';
import type { VerifyOptions } from './options.ts';

export { HandlesLeftError } from './handles-left-error.ts';
export type { LeftHandle, VerifyOptions } from './options.ts';

/** The globals of jest that are used here. */
interface JestGlobals {
  beforeEach(hook: () => Promise<void>): void;
  afterEach(hook: () => Promise<void>): void;
  readonly expect: {
    extend(matchers: object): void;
    getState(): { readonly currentTestName?: string };
  };
}

const { beforeEach, afterEach, expect } = globalThis as unknown as JestGlobals;

expect.extend({
  async toLeaveNoHandles(received: unknown, options: VerifyOptions = {}) {
    if (typeof received !== 'function')
      throw new TypeError('toLeaveNoHandles wants a function: expect(() => work()).toLeaveNoHandles().');
    const left = await findLeft(received as () => unknown, options);
    const pass = left.length === 0;
    const message = (): string =>
      pass
        ? 'expected the function to leave handles open, but it left none'
        : `expected the function to leave no handles open, but it left ${left.length}:\n${spellHandles(left)}`;
    return { pass, message };
  },
});

/**
 * Makes every test of the file, or of the suite that calls it, fail when it leaves handles of this process open. In a
 * file of `setupFilesAfterEnv` it is for the tests of all files.
 *
 * Tests that run at the same time are judged together: docs/test-attribution.md.
 */
export function verifyNoLeaks(options: VerifyOptions = {}): void {
  const watch = new LeakWatch(options);
  let name = '';
  beforeEach(async () => {
    name = expect.getState().currentTestName ?? '';
    await watch.begin(name);
  });
  afterEach(async () => await watch.end(name));
}
