import { beforeEach, expect } from 'vitest';

import { spellHandles } from './handles-left-error.ts';
import { findLeft, LeakWatch } from './leak-watch.ts';
import type { VerifyOptions } from './options.ts';

export { HandlesLeftError } from './handles-left-error.ts';
export type { LeftHandle, VerifyOptions } from './options.ts';

declare module 'vitest' {
  // The parameters are vitest's.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /**
     * `await expect(() => work()).toLeaveNoHandles()`: calls the function, which may be async, and fails when it leaves
     * handles of this process open.
     */
    toLeaveNoHandles: (options?: VerifyOptions) => T extends () => unknown ? R | Promise<void> : never;
  }
}

expect.extend({
  async toLeaveNoHandles(received: unknown, options: VerifyOptions = {}) {
    if (typeof received !== 'function')
      throw new TypeError('toLeaveNoHandles wants a function: expect(() => work()).toLeaveNoHandles().');
    const left = await findLeft(received as () => unknown, options);
    return {
      pass: left.length === 0,
      message: () =>
        left.length === 0
          ? 'expected the function to leave handles open, but it left none'
          : `expected the function to leave no handles open, but it left ${left.length}:\n${spellHandles(left)}`,
    };
  },
});

/**
 * Makes every test of the file, or of the suite that calls it, fail when it leaves handles of this process open. In a
 * setup file it is for the tests of all files.
 *
 * Tests that run at the same time are judged together: docs/test-attribution.md.
 */
export function verifyNoLeaks(options: VerifyOptions = {}): void {
  const watch = new LeakWatch(options);
  beforeEach(async ({ task, onTestFinished }) => {
    const name = nameOf(task);
    // Not afterEach: fixtures are taken down after it, and where another hook of it throws the rest are not called.
    onTestFinished(async () => await watch.end(name));
    await watch.begin(name);
  });
}

interface NamedTask {
  readonly name: string;
  readonly suite?: NamedTask | undefined;
}

/** `Cache > evicts`. */
function nameOf({ name, suite }: NamedTask): string {
  return suite === undefined || suite.name === '' ? name : `${nameOf(suite)} > ${name}`;
}
