// The steps of action.yml that are scripts, in a row, as a runner of GitHub on Linux would run them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { cacheDirectory } from '../../launcher/cache.js';

/** @typedef {{ id?: string, name?: string, run?: string, env?: Record<string, string> }} Step */
/** @typedef {Record<string, string>} Values */

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = join(root, 'fixtures/build/leaks-event.exe');
const { inputs: declared, runs } = parse(readFileSync(join(root, 'action.yml'), 'utf8'));

/**
 * Runs the steps that are scripts.
 *
 * @param {string} temporary
 * @param {Values} given
 * @returns {{ status: number | null, outputs: Values, summary: string, stdout: string }} of the last step, and of `run`
 */
function runAction(temporary, given) {
  const inputs = Object.fromEntries(
    Object.entries(declared).map(([name, input]) => [name, given[name] ?? input.default ?? '']),
  );
  const workspace = join(temporary, 'workspace');
  mkdirSync(workspace, { recursive: true });
  /** @type {Record<string, Values>} */
  const outputs = {};
  const summary = join(temporary, 'summary');
  let stdout = '';
  for (const step of /** @type {readonly Step[]} */ (runs.steps)) {
    if (step.run === undefined || step.name === 'Install Wine') continue;
    const file = join(temporary, 'output');
    const script = join(temporary, 'step.sh');
    writeFileSync(file, '');
    writeFileSync(script, step.run);
    const env = Object.fromEntries(
      Object.entries(step.env ?? {}).map(([name, value]) => [name, evaluate(value, inputs, outputs)]),
    );
    const ended = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', script], {
      cwd: workspace,
      encoding: 'utf8',
      env: {
        ...process.env,
        // `npm test` passes the project's .npmrc on.
        npm_config_os: undefined,
        npm_config_cpu: undefined,
        GITHUB_ACTION_PATH: join(temporary, 'package'),
        RUNNER_TEMP: temporary,
        GITHUB_OUTPUT: file,
        GITHUB_STEP_SUMMARY: summary,
        ...env,
        // The cache of the tests has all that the first start would fetch.
        UNCLOSED_HOME: cacheDirectory(process.env),
      },
    });
    if (step.id !== undefined) outputs[step.id] = readOutputs(readFileSync(file, 'utf8'));
    stdout += ended.stdout;
    if (ended.status !== 0 || step === runs.steps.at(-1))
      return {
        status: ended.status,
        outputs: outputs.run ?? {},
        summary: existsSync(summary) ? readFileSync(summary, 'utf8') : ended.stderr,
        stdout,
      };
  }
  throw new Error('The action has no steps.');
}

/**
 * @param {string} text with expressions that are a single name
 * @param {Values} inputs
 * @param {Record<string, Values>} outputs
 */
function evaluate(text, inputs, outputs) {
  return text.replaceAll(
    /\$\{\{ (?:inputs\.([\w-]+)|steps\.([\w-]+)\.outputs\.([\w-]+)) \}\}/g,
    (_, input, id, output) => (input === undefined ? (outputs[id]?.[output] ?? '') : (inputs[input] ?? '')),
  );
}

/** @param {string} text `name=value`, or a value of several lines between two marks */
function readOutputs(text) {
  const found = text.matchAll(/^([\w-]+)(?:=(.*)|<<(.*)\n([^]*?)\n\3)$/gm);
  return Object.fromEntries(Array.from(found, ([, name, short, , long]) => [name, short ?? long ?? '']));
}

const skip = process.platform === 'linux' ? false : 'the steps are run by the bash of Linux here';

describe('the action', { skip }, () => {
  const temporary = mkdtempSync(join(tmpdir(), 'unclosed action-'));
  before(() => {
    // As docs/ci.md has it: the tarball, unpacked.
    const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', temporary];
    const { stdout } = spawnSync('npm', pack, { cwd: root, encoding: 'utf8' });
    assert.equal(spawnSync('tar', ['-xzf', stdout.trim()], { cwd: temporary }).status, 0);
  });
  after(() => rmSync(temporary, { recursive: true, maxRetries: 5, retryDelay: 200 }));

  it('installs the package, audits, writes reports and outputs, and fails', () => {
    const { status, outputs, summary, stdout } = runAction(temporary, { program });
    assert.equal(status, 1, summary);
    assert.deepEqual(outputs, {
      'exit-code': '1',
      findings: '1',
      'new-findings': '1',
      'json-report': 'unclosed-report/unclosed.json',
      'sarif-report': 'unclosed-report/unclosed.sarif',
      'html-report': 'unclosed-report/unclosed.html',
    });
    assert.match(summary, /leak/);
    assert.match(stdout, /^::(?:warning|error) /m);
    for (const name of ['json', 'sarif', 'html'])
      assert.ok(existsSync(join(temporary, 'workspace', `unclosed-report/unclosed.${name}`)), name);
  });

  it('passes where nothing is to fail, and runs nothing that an input holds', () => {
    const owned = join(temporary, 'owned');
    const hostile = `$(touch '${owned}'); \`touch '${owned}'\` && touch '${owned}'`;
    const { status, outputs, summary } = runAction(temporary, {
      program,
      arguments: hostile,
      'fail-on': 'never',
      reporters: 'junit=unclosed.xml',
    });
    assert.equal(status, 0, summary);
    assert.equal(outputs['exit-code'], '0');
    assert.ok(existsSync(join(temporary, 'workspace/unclosed.xml')));
    assert.ok(!existsSync(owned));
  });

  it('fails when there is no such program, and has no reports then', () => {
    const { status, outputs } = runAction(temporary, { program: 'missing.exe', 'report-directory': 'other' });
    assert.equal(status, 2);
    assert.deepEqual(outputs, { 'exit-code': '2', 'json-report': '', 'sarif-report': '', 'html-report': '' });
  });
});
