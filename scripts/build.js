import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { runScript } from './windows.js';

/** @import { Windows } from './windows.js' */

const compiler = 'node_modules/@typescript/typescript-win32-x64/lib/tsc.exe';

/**
 * Compiles src/ to dist/, bundles the tool, and checks the types of the JavaScript, unless nothing has changed since
 * the last success.
 *
 * @param {string} root
 * @param {Windows} windows
 * @param {(text: string) => void} say
 * @returns {Promise<boolean>} whether the compiler found no errors
 */
export async function buildTypeScript(root, windows, say) {
  const stamp = join(root, 'dist/.built');
  const state = hashFiles(root, [
    'src',
    'bin',
    'launcher',
    'scripts',
    'test/cli',
    'bench',
    'fixtures/matrix',
    'tsconfig.json',
    'tsconfig.host.json',
    'package-lock.json',
  ]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return true;
  say('tsc …');
  rmSync(stamp, { force: true });
  const tsc = join(root, compiler);
  // The host's JavaScript imports dist/, so it comes second.
  for (const project of ['tsconfig.json', 'tsconfig.host.json']) {
    if ((await windows.run(tsc, ['-p', windows.toWindowsPath(join(root, project))])) !== 0) return false;
  }
  removeOrphans(join(root, 'src'), join(root, 'dist'));
  say('rolldown …');
  if ((await runScript(windows, join(root, 'scripts/bundle.js'), [])) !== 0) return false;
  writeFileSync(stamp, state);
  return true;
}

/**
 * Checks the types of the tests in TypeScript, which vitest only strips.
 *
 * @param {string} root
 * @param {Windows} windows
 * @returns {Promise<boolean>} whether the compiler found no errors
 */
export async function checkTestTypes(root, windows) {
  const project = windows.toWindowsPath(join(root, 'tsconfig.test.json'));
  return (await windows.run(join(root, compiler), ['-p', project])) === 0;
}

/**
 * Removes compiled files whose source is gone. Otherwise they could still be imported, and would be published.
 *
 * @param {string} source
 * @param {string} output
 */
function removeOrphans(source, output) {
  for (const path of listFiles(output)) {
    const [, stem] = /^(.*?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(relative(output, path)) ?? [];
    if (stem !== undefined && !existsSync(join(source, `${stem}.ts`))) rmSync(path);
  }
}

/**
 * @param {string} root
 * @param {readonly string[]} paths files and directories
 * @returns {string}
 */
function hashFiles(root, paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap((name) => listFiles(join(root, name)))) {
    const content = readFileSync(path);
    hash.update(`${relative(root, path)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function listFiles(path) {
  if (!existsSync(path)) return [];
  try {
    return readdirSync(path)
      .sort()
      .flatMap((name) => listFiles(join(path, name)));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return [path];
    throw error;
  }
}
