// `npm run bench:overhead`: what recording costs, after whatever set-up the measuring takes. Nothing is asserted.
//
// Runs on the host; what is measured runs in Windows Node.js, under Wine on Linux.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LaunchFailure } from '../launcher/failure.js';
import { root, runMain, setUp } from '../scripts/setup.js';
import { runScript } from '../scripts/windows.js';

const built = join(root, 'fixtures/build/bench');

/**
 * @param {string} source
 * @param {string} output
 * @param {readonly string[]} flags
 */
function compile(source, output, flags) {
  mkdirSync(built, { recursive: true });
  const path = join(built, output);
  const args = ['-O2', '-Wall', '-Wextra', ...flags, join(root, 'bench', source), '-o', path];
  const { status, stderr, error } = spawnSync('x86_64-w64-mingw32-gcc', args, { encoding: 'utf8' });
  if (status !== 0) throw new LaunchFailure(`Cannot build ${output}: ${error?.message ?? stderr}`);
  return path;
}

await runMain(async () => {
  const windows = await setUp();
  const program = compile('create-close.c', 'create-close.exe', []);
  const library = compile('call-pairs.c', 'call-pairs.dll', ['-shared']);
  for (const [script, measured] of [['hook-cost.mjs', library], ['program-cost.mjs', program]]) {
    const code = await runScript(windows, join(root, 'bench', script), [windows.toWindowsPath(measured), ...process.argv.slice(2)]);
    if (code !== 0) return code;
  }
  return 0;
});
