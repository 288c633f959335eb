import { afterEach, beforeEach, type TestContext } from 'node:test';

import { HandlesLeftError } from './handles-left-error.ts';
import { findLeft, LeakWatch } from './leak-watch.ts';
import type { VerifyOptions } from './options.ts';

export { HandlesLeftError } from './handles-left-error.ts';
export type { LeftHandle, VerifyOptions } from './options.ts';

/**
 * Makes every test of the file, or of the suite that calls it, fail when it leaves handles of this process open.
 *
 * Tests that run at the same time are judged together: docs/test-attribution.md.
 */
export function verifyNoLeaks(options: VerifyOptions = {}): void {
  const watch = new LeakWatch(options);
  beforeEach(async ({ name, signal }) => {
    // Node.js says so when the test is over. It skips hooks after one that has thrown, and end() with them.
    signal.addEventListener('abort', () => void watch.abandon(name), { once: true });
    await watch.begin(name);
  });
  // Behind the hooks that the test has set up by after() itself, for these close what it opened.
  afterEach((test) => (test as TestContext).after(async () => await watch.end(test.name)));
}

/**
 * Does some work, and fails when it leaves handles of this process open.
 *
 * @param work may be async
 * @throws HandlesLeftError when handles are open that were not before
 * @throws whatever the work throws
 */
export async function assertNoLeaks(work: () => unknown, options: VerifyOptions = {}): Promise<void> {
  const left = await findLeft(work, options);
  if (left.length > 0) throw new HandlesLeftError(left, []);
}
