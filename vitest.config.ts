import { defineConfig } from 'vitest/config';

import { HANG_MS } from './test/hang.ts';

export default defineConfig({
  test: {
    // test/cli is run on the host, by scripts/test.js.
    include: ['test/{unit,windows}/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: HANG_MS,
    hookTimeout: HANG_MS,
    expect: { poll: { timeout: HANG_MS } },
  },
});
