// `npm run demo`: does the set-up that is needed, and audits a program with planted bugs. It is one in C. On Windows,
// where there may be no compiler, it is a script of Node.js.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { say } from '../launcher/failure.js';
import { wingetCommand } from './mingw.js';
import { root, runMain, setUp } from './setup.js';

await runMain(async () => {
  const { hasFixtures } = await setUp(['demo']);
  const program = hasFixtures
    ? ['--', join('fixtures', 'build', 'demo.exe')]
    : ['--js', '--', process.execPath, '--no-warnings', join('scripts', 'demo-program.js')];
  const { status } = spawnSync(
    process.execPath,
    [join('bin', 'unclosed.cjs'), 'run', ...process.argv.slice(2), ...program],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  if (!hasFixtures) say(`This was a script, for no gcc is on the PATH. For the demo in C: ${wingetCommand}`);
  // The demo succeeds when it has findings, with exit code 1. npm would call that an error.
  return status === 1 ? 0 : status || 2;
});
