// `npm run demo`: audits a program with planted bugs, after whatever set-up that takes.
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
  // Findings are what the demo is for: exit code 1 is its success, and npm would call it an error.
  return status === 1 ? 0 : status || 2;
});
