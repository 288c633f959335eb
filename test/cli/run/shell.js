// The common part of the tests of `unclosed run`: a shell as a user has it, and the machine before and after.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '../../../launcher/cache.js';
import { nodeDirectory, nodePackage } from '../../../launcher/packages.js';

/** The command, by its Unix path. */
export const tool = fileURLToPath(new URL('../../../bin/unclosed.cjs', import.meta.url));
/** The command as a shell takes it. */
export const unclosed = `'${process.execPath}' '${tool}'`;
/** Directory of the built fixtures. */
export const fixtures = fileURLToPath(new URL('../../../fixtures/build', import.meta.url));
/** A Windows program that runs any script. */
export const windowsNode = join(nodeDirectory(cacheDirectory(process.env)), nodePackage.part);
/** Why these tests are left out on Windows; false elsewhere. */
export const skip = process.platform === 'win32' && 'there is no launcher on Windows';

/**
 * @typedef {object} Ended
 * @property {string} stdout
 * @property {string} stderr
 * @property {number | null} status
 */

/** @returns {string} a directory of this test file's own, removed at its end */
export function makeDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-run-'));
  after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/**
 * @param {string} line
 * @param {{ cwd: string, input?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Ended}
 */
export function shell(line, { cwd, input = '', env = {} }) {
  return spawnSync('sh', ['-c', line], {
    cwd,
    input,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 27,
  });
}

/**
 * Runs the tool with a script as its target.
 *
 * @param {string} options the tool's
 * @param {string} script for `node -e`, without single quotes
 */
export function auditScript(options, script) {
  return `${unclosed} run ${options} -- '${windowsNode}' -e '${script}'`;
}

/**
 * @param {string} part of a command line
 * @returns {string[]} the command lines of the running processes that hold it
 */
export function findProcesses(part) {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(part) ? [line] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

/**
 * The time after which an event counts as missing. It guards against a hang and measures nothing. test/hang.ts is the
 * same for the tests in Windows.
 */
export const HANG_MS = 300_000;

/** @param {() => boolean} holds */
export async function eventually(holds) {
  for (const end = Date.now() + HANG_MS; Date.now() < end && !holds(); ) await sleep(50);
  if (!holds()) throw new Error(`It never happened: ${holds}`);
}
