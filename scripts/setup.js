import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LaunchFailure, say } from '../launcher/failure.js';
import { buildTypeScript } from './build.js';
import { installDependencies } from './dependencies.js';
import { hasCompiler } from './mingw.js';
import { installSystemPackages } from './system-packages.js';
import { findWindows } from './windows.js';

/** @import { Windows } from './windows.js' */

/** The project's directory. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Makes a fresh clone on a fresh machine ready to work. Prints each step that it takes, and nothing about steps that
 * were done before. Without a compiler, which only Windows may lack, no fixtures are built.
 *
 * @param {readonly string[]} [fixtures] the programs to build; all of them by default, none when it is empty
 * @returns {Promise<Windows & { hasFixtures: boolean }>}
 * @throws {LaunchFailure}
 */
export async function setUp(fixtures) {
  if (process.platform === 'win32' && process.arch !== 'x64')
    throw new LaunchFailure(
      `Cannot work in Node.js for ${process.arch}: the recorder is x64 machine code. ` +
        (process.arch === 'arm64' ? 'On Windows for ARM64 nothing can be recorded.' : 'Try the x64 Node.js.'),
    );
  const buildsFixtures = fixtures?.length !== 0 && hasCompiler();
  if (process.platform !== 'win32')
    installSystemPackages(say, { programs: !buildsFixtures ? 'none' : fixtures === undefined ? 'all' : 'in C' });
  installDependencies(root, say);
  const windows = await findWindows();
  if (!(await buildTypeScript(root, windows, say))) throw new LaunchFailure('Cannot build: tsc found errors.');
  if (buildsFixtures) buildFixtures(fixtures ?? []);
  else mkdirSync(join(root, 'fixtures/build'), { recursive: true }); // many tests run there
  return { ...windows, hasFixtures: buildsFixtures };
}

/** @param {readonly string[]} names */
function buildFixtures(names) {
  const { status } = spawnSync(process.execPath, [join(root, 'fixtures/build.mjs'), ...names], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new LaunchFailure(`Cannot build the fixtures: node fixtures/build.mjs: exit code ${status}.`);
}

/**
 * Runs a script's main function and sets the exit code that it gives.
 *
 * @param {() => Promise<number>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof LaunchFailure)) throw error;
    say(error.message);
    process.exitCode = 2;
  }
}

// `npm run build` does only the set-up. With `--no-fixtures`, as `npm run package` calls it, it needs no C compiler.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await setUp(process.argv.includes('--no-fixtures') ? [] : undefined);
    return 0;
  });
}
