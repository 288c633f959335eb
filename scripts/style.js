// `npm run style`: checks how the code is set and what the linter knows; `npm run style -- --write` sets it right.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, runMain, setUp } from './setup.js';

/** @import { Windows } from './windows.js' */

const biome = 'node_modules/@biomejs/cli-win32-x64/biome.exe';

/**
 * @param {Windows} windows
 * @param {readonly string[]} [options] of Biome
 * @returns {Promise<boolean>} whether Biome had nothing to say
 */
export async function checkStyle(windows, options = []) {
  const command = ['check', '--error-on-warnings', ...options, windows.toWindowsPath(root)];
  return (await windows.run(join(root, biome), command)) === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => ((await checkStyle(await setUp([]), process.argv.slice(2))) ? 0 : 1));
}
