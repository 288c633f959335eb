import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path/posix';
import { LaunchFailure } from './failure.js';

/** Older versions were never tried. Debian 12 has version 8. */
export const oldestMajor = 8;

/**
 * @typedef {{ readonly path: string, readonly version: string }} Loader `version` is Wine's own text: `wine-8.0 (Debian
 * 8.0~repack-4)`
 */
/**
 * @typedef {Loader & { readonly starter: readonly string[] }} Wine `starter` is the command that starts the loader;
 * empty where it is started as it is
 */

/**
 * Turns off random addresses, for the loader and all that it starts. Linux 6.18 puts the heap of a program anywhere in
 * the gibibyte behind it, and Debian's loader lies a little below an address that Wine needs: one start in 8,000
 * failed, silently (docs/platform.md).
 */
const withFixedAddresses = ['setarch', '-R'];

/**
 * The loaders to try, the best first. Debian's loader comes before its `/usr/bin/wine`, a script that complains on
 * stderr about a missing 32-bit Wine, which is not needed here.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(directory: string) => string[]} list the names in a directory; none where there is no such directory
 * @returns {string[]}
 */
export function wineCandidates(environment, list = listDirectory) {
  const path = (environment.PATH ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  const { WINE: chosen } = environment;
  if (chosen) return chosen.includes('/') ? [chosen] : path.map((directory) => join(directory, chosen));
  const opt = list('/opt').filter((name) => name.startsWith('wine'));
  return [
    '/usr/lib/wine/wine64',
    ...path.map((directory) => join(directory, 'wine64')),
    ...path.map((directory) => join(directory, 'wine')),
    ...opt.flatMap((name) => [`/opt/${name}/bin/wine64`, `/opt/${name}/bin/wine`]),
  ];
}

/**
 * The first candidate that is new enough.
 *
 * @param {readonly string[]} candidates
 * @param {(path: string) => string | undefined} versionOf what `wine --version` prints; undefined if there is no Wine
 * @returns {{ wine?: Loader, tooOld: Loader[] }}
 */
export function chooseWine(candidates, versionOf) {
  /** @type {Loader[]} */
  const tooOld = [];
  for (const path of candidates) {
    const version = versionOf(path);
    if (version === undefined) continue;
    const major = Number(/^wine-(\d+)/.exec(version)?.[1] ?? 0);
    if (major >= oldestMajor) return { wine: { path, version }, tooOld };
    tooOld.push({ path, version });
  }
  return { tooOld };
}

/**
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Wine}
 * @throws {LaunchFailure} with the way to get it, when there is none
 */
export function findWine(environment) {
  let firstTooOld;
  // Some containers have no setarch, or forbid its system call. There addresses stay random.
  for (const starter of [withFixedAddresses, []]) {
    const { wine, tooOld } = chooseWine(wineCandidates(environment), (path) =>
      askVersion([...starter, path], environment),
    );
    if (wine) return { ...wine, starter };
    [firstTooOld] = tooOld;
  }
  throw new LaunchFailure(whyNoWine(environment, firstTooOld));
}

/**
 * The command line that starts a Windows program.
 *
 * @param {Wine} wine
 * @param {readonly string[]} command of the program
 * @returns {[file: string, args: string[]]}
 */
export function startByWine({ path, starter }, command) {
  const [file = path, ...args] = [...starter, path, ...command];
  return [file, args];
}

/**
 * @param {NodeJS.ProcessEnv} environment
 * @param {Loader | undefined} tooOld
 * @returns {string}
 */
export function whyNoWine(environment, tooOld) {
  const need = `On Linux, Windows programs need Wine ${oldestMajor} or newer (64-bit)`;
  if (tooOld)
    return `${need}: found ${tooOld.version} at ${tooOld.path}. Try the packages of https://gitlab.winehq.org/wine/wine/-/wikis/Download`;
  if (environment.WINE)
    return `${need}: WINE=${environment.WINE} is not one: it cannot be run. Try without WINE in the environment.`;
  return [
    `${need}, and none was found. Try:`,
    '  Debian, Ubuntu:  sudo apt-get install --no-install-recommends wine wine64',
    '  Fedora:          sudo dnf install wine-core',
    '  Arch:            sudo pacman -S wine',
    'or say where it is: WINE=/path/to/wine',
  ].join('\n');
}

/**
 * The program that keeps a prefix's state, which lives beside the loader.
 *
 * @param {Wine} wine
 * @returns {string}
 */
export function wineserverOf(wine) {
  const directory = dirname(realpathSync(wine.path));
  return ['wineserver', 'wineserver64'].map((name) => join(directory, name)).find(isExecutable) ?? 'wineserver';
}

/**
 * @param {readonly string[]} command the loader's path is its last part
 * @param {NodeJS.ProcessEnv} environment
 * @returns {string | undefined}
 */
function askVersion(command, environment) {
  const [file = '', ...args] = command;
  if (!isExecutable(command.at(-1) ?? '')) return undefined;
  const { status, stdout } = spawnSync(file, [...args, '--version'], {
    env: { ...environment, WINEDEBUG: '-all' },
    encoding: 'utf8',
    timeout: 10_000,
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** @param {string} directory */
function listDirectory(directory) {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
