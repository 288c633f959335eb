import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LaunchFailure } from '../launcher/failure.js';
import { findWine } from '../launcher/wine.js';

/**
 * Something that the set-up needs on Linux.
 *
 * @typedef {object} Need
 * @property {() => boolean} is whether it is there
 * @property {string[]} debian its packages
 * @property {string[]} fedora
 * @property {string[]} arch
 */

/** @type {Need} */
const wine = { is: hasWine, debian: ['wine', 'wine64'], fedora: ['wine-core'], arch: ['wine'] };

/** For the programs in C. @type {Need} */
const gcc = {
  is: () => has('x86_64-w64-mingw32-gcc'),
  debian: ['gcc-mingw-w64-x86-64'],
  fedora: ['mingw64-gcc'],
  arch: ['mingw-w64-gcc'],
};

/** For the other fixtures. @type {Need[]} */
const compilers = [
  // These build the fixtures with symbols in a PDB, which gcc cannot write.
  { is: () => has('clang'), debian: ['clang'], fedora: ['clang'], arch: ['clang'] },
  { is: () => has('ld.lld'), debian: ['lld'], fedora: ['lld'], arch: ['lld'] },
  // This builds the fixtures in C++: 26 MB.
  {
    is: () => has('x86_64-w64-mingw32-g++'),
    debian: ['g++-mingw-w64-x86-64'],
    fedora: ['mingw64-gcc-c++'],
    arch: ['mingw-w64-gcc'],
  },
];

/**
 * For tests that are left out where there is no such package, as Rust's of Debian 13 is not: Rust with Windows'
 * standard library, 96 MB, and Go, 60 MB; the sources of the frameworks whose tests unclosed.h labels, 1 MB; readers
 * of what the tool writes: lldb of minidumps, 40 MB, Chromium of pages, 90 MB, and two shells of completions, 5 MB.
 *
 * @type {Need[]}
 */
const extras = [
  { is: hasRustForWindows, debian: ['rustc', 'libstd-rust-dev-windows'], fedora: [], arch: [] },
  { is: () => has('go'), debian: ['golang-go'], fedora: ['golang'], arch: ['go'] },
  { is: () => existsSync('/usr/src/googletest'), debian: ['googletest'], fedora: [], arch: [] },
  { is: () => existsSync('/usr/include/catch2'), debian: ['catch2'], fedora: [], arch: [] },
  { is: () => existsSync('/usr/include/doctest'), debian: ['doctest-dev'], fedora: [], arch: [] },
  { is: () => has('lldb'), debian: ['lldb'], fedora: [], arch: [] },
  { is: () => has('chromium'), debian: ['chromium'], fedora: [], arch: [] },
  { is: () => has('zsh'), debian: ['zsh'], fedora: [], arch: [] },
  { is: () => has('fish'), debian: ['fish'], fedora: [], arch: [] },
];

/**
 * Installs missing system packages, if that needs no password.
 *
 * @param {(text: string) => void} say
 * @param {{ programs: 'none' | 'in C' | 'all' }} wanted beside Wine, for the fixtures that are to be built; with all of
 *   them, for the tests, too
 * @throws {LaunchFailure} with the command for the user to run
 */
export function installSystemPackages(say, wanted) {
  const needs = [wine, ...(wanted.programs === 'none' ? [] : [gcc]), ...(wanted.programs === 'all' ? compilers : [])];
  const missing = needs.filter((need) => !need.is());
  const wishes =
    wanted.programs === 'all' && has('apt-get') ? extras.filter((need) => !need.is() && mayBeKnown(need)) : [];
  if (missing.length + wishes.length === 0) return;
  const asRoot = has('apt-get') ? waysToRoot() : undefined;
  if (asRoot === undefined && missing.length === 0) return; // their tests are skipped
  if (asRoot === undefined) throw new LaunchFailure(howToInstall(missing));
  const run = (/** @type {string[]} */ ...args) => {
    const [file = '', ...rest] = [...asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    const { status, error } = spawnSync(file, rest, { stdio: ['ignore', 2, 2] });
    if (status === 0) return;
    const failure = `${file} ${rest.join(' ')}: ${error?.message ?? `exit code ${status}`}`;
    throw new LaunchFailure(`Cannot install packages: ${failure}.`);
  };
  try {
    say('apt-get update …');
    run('update', '-q');
    const packages = [...missing, ...wishes.filter(isKnown)].flatMap((need) => need.debian);
    if (packages.length === 0) return;
    say(`apt-get install ${packages.join(' ')} …`);
    run('install', '-q', '-y', '--no-install-recommends', ...packages);
  } catch (error) {
    if (missing.length > 0 || !(error instanceof LaunchFailure)) throw error;
    return say(`${error.message} Some tests are skipped without them.`);
  }
  const still = needs.filter((need) => !need.is());
  if (still.length > 0) throw new LaunchFailure(`Installed, but not found or too old. ${howToInstall(still)}`);
}

/**
 * Whether the distribution has its packages, by the lists that apt has fetched.
 *
 * @param {Need} need
 */
function isKnown({ debian }) {
  return debian.every((name) => spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0);
}

/**
 * The same before the lists are fetched: they may not be there yet.
 *
 * @param {Need} need
 */
function mayBeKnown(need) {
  const lists = '/var/lib/apt/lists';
  const hasLists = existsSync(lists) && readdirSync(lists).some((name) => name.includes('_Packages'));
  return !hasLists || isKnown(need);
}

/**
 * @param {readonly Need[]} missing
 * @returns {string}
 */
function howToInstall(missing) {
  return [
    'The set-up needs packages of the system. Try:',
    `  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing.flatMap((need) => need.debian).join(' ')}`,
    `  Fedora:          sudo dnf install ${missing.flatMap((need) => need.fedora).join(' ')}`,
    `  Arch:            sudo pacman -S ${missing.flatMap((need) => need.arch).join(' ')}`,
  ].join('\n');
}

/** @returns {string[] | undefined} what to put before a command; undefined: a person would have to type a password */
function waysToRoot() {
  if (process.getuid?.() === 0) return [];
  if (has('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return undefined;
}

function hasWine() {
  try {
    findWine(process.env);
    return true;
  } catch (error) {
    if (!(error instanceof LaunchFailure)) throw error;
    // A Wine that the user chose must not be replaced.
    if (process.env.WINE) throw error;
    return false;
  }
}

/** A rustc of rustup on the PATH may lack Windows' standard library that the distribution's has. */
function hasRustForWindows() {
  return ['rustc', '/usr/bin/rustc'].some((path) => {
    const options = ['--target', 'x86_64-pc-windows-gnu', '--print', 'target-libdir'];
    const { stdout, status } = spawnSync(path, options, { encoding: 'utf8' });
    return status === 0 && existsSync(stdout.trim());
  });
}

/** @param {string} name */
function has(name) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory || '.', name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
