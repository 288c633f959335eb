import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LaunchFailure } from '../launcher/failure.js';

/**
 * @typedef {object} LockedPackage
 * @property {string} version
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 */

/** @typedef {{ packages: Record<string, LockedPackage> }} Lock */

/**
 * Whether npm has installed what the lock file asks for. npm records what it installed in
 * node_modules/.package-lock.json, so no stamp file is needed.
 *
 * @param {Lock} wanted
 * @param {Lock} installed
 * @returns {boolean}
 */
export function isInstalled(wanted, installed) {
  return Object.entries(wanted.packages).every(([path, { version, optional = false, os, cpu }]) => {
    if (path === '') return true;
    const found = installed.packages[path];
    if (found !== undefined) return found.version === version;
    // Packages for other platforms are left out. .npmrc names this platform.
    return optional && !(os?.includes('win32') && cpu?.includes('x64'));
  });
}

/**
 * The part of the command line before `ci`: it must be an npm that installs for the platform that .npmrc names. Older
 * versions, such as those of Debian 12 and 13, silently leave out the packages for Windows, so they fetch a newer npm.
 *
 * @param {string} version what `npm --version` prints
 * @returns {string[]}
 */
export function npmThatKnowsPlatforms(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  // https://github.com/npm/cli/pull/6755
  if (major > 10 || (major === 10 && minor >= 1)) return ['npm'];
  return ['npm', 'exec', '--yes', '--package=npm@10.9.9', '--', 'npm'];
}

/**
 * Runs `npm ci` unless node_modules is what package-lock.json asks for.
 *
 * @param {string} root
 * @param {(text: string) => void} say
 */
export function installDependencies(root, say) {
  if (isInstalled(readLock(join(root, 'package-lock.json')), readLock(join(root, 'node_modules/.package-lock.json'))))
    return;
  say('npm ci …');
  // On Windows npm.cmd is a script, which needs a shell. No argument needs quotes. Only errors are shown. The warning
  // that chalk needs a newer Node.js concerns only the Windows side.
  const shell = process.platform === 'win32';
  const version = spawnSync('npm', ['--version'], { cwd: root, encoding: 'utf8', shell }).stdout ?? '';
  const [file = '', ...args] = npmThatKnowsPlatforms(version);
  const { status, error } = spawnSync(
    file,
    [...args, 'ci', '--loglevel=error', '--no-audit', '--no-fund', '--no-update-notifier'],
    { cwd: root, stdio: ['ignore', 2, 2], shell },
  );
  if (status === 0) return;
  const why = error?.message ?? `exit code ${status}`;
  throw new LaunchFailure(`Cannot install the dependencies: npm ci: ${why}. npm’s own messages are above.`);
}

/**
 * @param {string} path
 * @returns {Lock}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return { packages: {} };
    throw error;
  }
}
