import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // test/cli is run on the host, by scripts/test.js.
    include: ['test/{unit,windows}/**/*.test.ts'],
    maxWorkers: 2,
    // Under Wine a call may take a hundred times as long as on Windows.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
