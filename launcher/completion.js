import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeOut } from './failure.js';

/** The names by which shells and packagers know such files. */
const fileNames = new Map([
  ['bash', 'unclosed.bash'],
  ['zsh', '_unclosed'],
  ['fish', 'unclosed.fish'],
  ['powershell', 'unclosed.ps1'],
]);

/**
 * The file of a shell's completion, which the bundler writes.
 *
 * @param {string} bundle the directory of the bundle
 * @param {string} shell
 */
export function completionFile(bundle, shell) {
  const name = fileNames.get(shell);
  if (name === undefined) throw new Error(`Cannot name the completion of ${shell}: it has no file name.`);
  return join(bundle, 'completions', name);
}

/**
 * Answers `completion <shell>` without Wine, because it may stand in the start-up file of a shell.
 *
 * @param {string} bundle the directory of the bundle
 * @param {readonly string[]} args of the command
 * @returns {boolean} whether this was all that was asked for
 */
export function printCompletion(bundle, [shell = '', ...others]) {
  if (others.length > 0 || !fileNames.has(shell)) return false;
  writeOut(readFileSync(completionFile(bundle, shell)));
  return true;
}
