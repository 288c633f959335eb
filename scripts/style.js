// `npm run style`: checks the format of the code, and runs the linter; `npm run style -- --write` corrects what it can.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, runMain, setUp } from './setup.js';

/** @import { Windows } from './windows.js' */

const biome = 'node_modules/@biomejs/cli-win32-x64/biome.exe';

/**
 * @param {Windows} windows
 * @param {readonly string[]} [options] of Biome
 * @returns {Promise<boolean>} whether Biome found no faults
 */
export async function checkStyle(windows, options = []) {
  const command = ['check', '--error-on-warnings', ...options, windows.toWindowsPath(root)];
  return (await windows.run(join(root, biome), command)) === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => ((await checkStyle(await setUp([]), process.argv.slice(2))) ? 0 : 1));
}
