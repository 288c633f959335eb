// `npm run demo`: does the set-up that is needed, and audits a program with planted bugs.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, runMain, setUp } from './setup.js';

await runMain(async () => {
  await setUp(['demo']);
  const program = join('fixtures', 'build', 'demo.exe');
  const { status } = spawnSync(
    process.execPath,
    [join('bin', 'unclosed.cjs'), 'run', ...process.argv.slice(2), '--', program],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  // The demo succeeds when it has findings, with exit code 1. npm would call that an error.
  return status === 1 ? 0 : status || 2;
});
