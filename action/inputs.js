import { join } from 'node:path';

/** Explains an input that cannot be used. */
export class InputError extends Error {}

/**
 * The inputs of action.yml, as its step passes them on: `program` in the variable `ACTION_PROGRAM`, and so on.
 *
 * @typedef {Readonly<Record<string, string | undefined>>} Environment
 */

/**
 * The command of the action, and the places of its reports.
 *
 * @typedef {object} Work
 * @property {readonly string[]} args of the tool
 * @property {Readonly<Record<'json' | 'sarif' | 'html', string>>} reports
 */

const prefix = 'ACTION_';

/**
 * Makes the command line of the tool. Each value becomes one argument: no shell reads any of them.
 *
 * @param {Environment} environment
 * @returns {Work}
 * @throws {InputError}
 */
export function readWork(environment) {
  const program = read(environment, 'program');
  if (program === '') throw new InputError('The input program is needed: the path of the program to run.');
  const directory = read(environment, 'report-directory') || 'unclosed-report';
  const reports = {
    json: join(directory, 'unclosed.json'),
    sarif: join(directory, 'unclosed.sarif'),
    html: join(directory, 'unclosed.html'),
  };
  const reporters = [
    'table',
    'github',
    ...Object.entries(reports).map(([name, file]) => `${name}=${file}`),
    ...readLines(environment, 'reporters'),
  ];
  return {
    args: [
      'run',
      ...reporters.map((reporter) => `--reporter=${reporter}`),
      ...['config', 'baseline', 'fail-on', 'exit-code-policy'].flatMap((name) => {
        const value = read(environment, name);
        return value === '' ? [] : [`--${name}=${value}`];
      }),
      ...(readFlag(environment, 'require-complete') ? ['--require-complete'] : []),
      ...readLines(environment, 'options'),
      '--',
      program,
      ...readLines(environment, 'arguments'),
    ],
    reports,
  };
}

/**
 * The environment of the tool, and so of the audited program: without the inputs.
 *
 * @param {Environment} environment
 */
export function withoutInputs(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith(prefix)));
}

/**
 * @param {Environment} environment
 * @param {string} name
 */
function read(environment, name) {
  return (environment[`${prefix}${name.toUpperCase().replaceAll('-', '_')}`] ?? '').trim();
}

/**
 * One value on each line. Blank lines do not count.
 *
 * @param {Environment} environment
 * @param {string} name
 */
function readLines(environment, name) {
  return read(environment, name)
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * @param {Environment} environment
 * @param {string} name
 */
function readFlag(environment, name) {
  const value = read(environment, name);
  if (!['', 'true', 'false'].includes(value)) throw new InputError(`The input ${name} is ${value}. Try true or false.`);
  return value === 'true';
}
