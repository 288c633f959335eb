import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: { include: ['scripts/mutants/run.mutants.js'], testTimeout: 0, pool: 'forks', disableConsoleIntercept: true },
});
