import { spawnSync } from 'node:child_process';
import { fstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { isatty } from 'node:tty';

/** @import { Terminal } from '../src/wine/host.ts' */

/**
 * A Unix path as Wine sees it: every prefix has `/` as drive Z:.
 *
 * @param {string} path absolute
 * @returns {string}
 */
export function onDriveZ(path) {
  return `Z:${path.replaceAll('/', '\\')}`;
}

/**
 * Describes the terminal behind an output stream, because the Windows side cannot ask for it: under Wine a Unix
 * terminal appears as a console of Wine, which counts the bytes of an escape sequence as columns and takes UTF-8 for
 * code page 437. A terminal that is opened by its path is a plain device, where text arrives as it was written.
 *
 * @param {1 | 2} fd
 * @returns {Terminal | undefined} undefined: not a terminal
 */
export function describeTerminal(fd) {
  if (!isatty(fd)) return undefined;
  const stream = fd === 1 ? process.stdout : process.stderr;
  const path = terminalPath(fd);
  // The tool itself heeds the other two: src/cli/screen/color-level.ts.
  const colorDepth = stream.getColorDepth({ ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined });
  return { columns: stream.columns || 80, colorDepth, ...(path && { path: onDriveZ(path) }) };
}

/**
 * @param {number} fd
 * @returns {string | undefined} undefined: the terminal has no name here, as in a container that was handed one from
 * outside
 */
function terminalPath(fd) {
  try {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    return statSync(path).rdev === fstatSync(fd).rdev ? path : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The environment for Wine: the user's own, without variables that do harm there.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {{ isUtf8: boolean }} locale
 * @returns {NodeJS.ProcessEnv}
 */
export function wineEnvironment(environment, { isUtf8 }) {
  const result = { ...environment };
  // These are meant for the Node.js of this machine: paths of the host, options of another version, inherited
  // descriptors.
  for (const name of Object.keys(result)) {
    if (/^NODE_(OPTIONS|CHANNEL_FD|CHANNEL_SERIALIZATION_MODE|UNIQUE_ID|TEST_CONTEXT|V8_COVERAGE)$/.test(name))
      delete result[name];
  }
  delete result.WINEARCH;
  // Debian's Wine looks for the server of a prefix in TMPDIR: two launches with different directories would have two
  // servers in one prefix, and Wine 10 ends at once (docs/platform.md). Windows programs use TEMP.
  delete result.TMPDIR;
  result.WINEDEBUG ||= '-all';
  // No start-menu entries or file associations on the user's desktop. No debugger that starts by itself when the
  // audited program crashes: it keeps the streams open for seconds, or for ever, and prints a page of registers.
  result.WINEDLLOVERRIDES = [result.WINEDLLOVERRIDES, 'winemenubuilder.exe,winedbg.exe=d'].filter(Boolean).join(';');
  // Wine decodes file names and arguments by the charset of the locale, and loses them in "C".
  if (!isUtf8) result.LC_ALL = 'C.UTF-8';
  return result;
}

/**
 * Whether the charset of the C library is UTF-8. LANG is not enough: a locale that is set but not installed means "C".
 *
 * @returns {boolean}
 */
export function hasUtf8Locale() {
  return spawnSync('locale', ['charmap'], { encoding: 'utf8' }).stdout?.trim() === 'UTF-8';
}

/**
 * Whether a program may read this process's input. It may not where that is the terminal of a shell which has put this
 * process into the background. Unix would stop a program of the shell's session. The Windows programs have a session of
 * their own, and would take what is typed for the shell.
 *
 * @returns {boolean}
 */
export function mayReadTerminal() {
  return !isatty(0) || isInForeground();
}

/** Whether this process is in the foreground of its terminal. */
function isInForeground() {
  // proc(5), /proc/pid/stat: after "(comm) " state, ppid, pgrp, session, tty_nr, tpgid
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return terminal === '0' || group === foreground;
}
