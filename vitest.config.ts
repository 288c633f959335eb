import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // test/cli is run on the host, by scripts/test.js.
    include: ['test/{unit,windows}/**/*.test.ts'],
    // Under Wine a call may take a hundred times as long as on Windows.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
