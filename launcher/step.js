import { spawn } from 'node:child_process';
import { LaunchFailure } from './failure.js';

/**
 * Runs a program of the set-up to its end, quietly.
 *
 * It waits for the end of the program, not of its stderr: Wine's services inherit that and live on.
 *
 * @param {string} what the beginning of the error message: `Cannot create the Wine prefix`
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{
 *   env?: NodeJS.ProcessEnv,
 *   cwd?: string,
 *   timeoutMs?: number,
 *   remedy?: string,
 *   codes?: readonly number[],
 * }} [options] `codes` are the exit codes of success
 * @returns {Promise<void>}
 */
export function runStep(what, file, args, { env = process.env, cwd, timeoutMs = 300_000, remedy, codes = [0] } = {}) {
  const command = [file, ...args].join(' ');
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(file, args, { env, cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: timeoutMs });
    child.stderr.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-2000)));
    const fail = (/** @type {string} */ why) =>
      reject(
        new LaunchFailure(
          `${what}: ${command}: ${why}.${output && `\n${output.trimEnd()}`}${remedy ? `\n${remedy}` : ''}`,
        ),
      );
    child.on('error', (error) => fail(error.message));
    child.on('exit', (code, signal) => {
      child.stderr.destroy();
      if (code !== null && codes.includes(code)) resolve();
      else fail(signal ? `ended by ${signal} (it had ${timeoutMs / 1000} s)` : `exit code ${code}`);
    });
  });
}
