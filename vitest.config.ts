import { defineConfig } from 'vitest/config';

import { HANG_MS } from './test/hang.ts';

const guards = { testTimeout: HANG_MS, hookTimeout: HANG_MS, expect: { poll: { timeout: HANG_MS } } };

export default defineConfig({
  test: {
    maxWorkers: 2,
    // test/cli is run on the host, by scripts/test.js.
    projects: [
      // Pure logic, which leaves nothing behind for the next file: a process for each would take more time than most of
      // them.
      { test: { ...guards, name: 'unit', include: ['test/unit/**/*.test.ts'], isolate: false } },
      { test: { ...guards, name: 'windows', include: ['test/windows/**/*.test.ts'] } },
    ],
  },
});
