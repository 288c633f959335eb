// The step of action.yml that audits: runs the tool that was installed, and writes the outputs of the action. It ends
// with 0 whatever was found, because the reports are still to be uploaded; the action's last step gives the exit code.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InputError, readWork, withoutInputs } from './inputs.js';

/** The tool's own code for: there is no report. */
const errorCode = 2;

try {
  const { args, reports } = readWork(process.env);
  mkdirSync(dirname(resolve(reports.json)), { recursive: true });
  const tool = join(findPackage(), 'bin/unclosed.cjs');
  const env = withoutInputs(process.env);
  const { status, error } = spawnSync(process.execPath, [tool, ...args], { stdio: 'inherit', env });
  if (error !== undefined) throw error;
  write({
    'exit-code': String(status ?? errorCode),
    ...countFindings(reports.json),
    ...Object.fromEntries(
      Object.entries(reports).map(([name, file]) => [`${name}-report`, existsSync(file) ? file : '']),
    ),
  });
} catch (error) {
  const text = error instanceof InputError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`unclosed: ${text}\n`);
  write({ 'exit-code': String(errorCode) });
}

/** The directory of the installed package, as an earlier step has found it. */
function findPackage() {
  const directory = process.env.ACTION_PACKAGE_DIRECTORY ?? '';
  if (directory === '') throw new InputError('The package was not installed.');
  return directory;
}

/**
 * Errors and warnings, and those of them that neither a baseline nor a suppression knows.
 *
 * @param {string} file the JSON report; without one there are no counts
 * @returns {Readonly<Record<string, string>>}
 */
function countFindings(file) {
  if (!existsSync(file)) return {};
  /** @type {{ findings: readonly { level: string, status: string }[] }} */
  const { findings } = JSON.parse(readFileSync(file, 'utf8'));
  const serious = findings.filter(({ level }) => level !== 'note');
  return {
    findings: String(serious.length),
    'new-findings': String(serious.filter(({ status }) => status === 'new').length),
  };
}

/**
 * Adds outputs to the step, in the form for values of any text.
 *
 * @param {Readonly<Record<string, string>>} outputs
 */
function write(outputs) {
  const file = process.env.GITHUB_OUTPUT;
  if (file === undefined || file === '') return;
  const mark = randomUUID();
  for (const [name, value] of Object.entries(outputs)) appendFileSync(file, `${name}<<${mark}\n${value}\n${mark}\n`);
}
