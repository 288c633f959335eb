// The tarball that npm packs, installed into an empty folder: `unclosed` runs from there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

describe('the packed tarball', () => {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-package-'));
  const folder = join(directory, 'empty');
  const installed = join(folder, 'node_modules', name);
  after(() => rmSync(directory, { recursive: true, maxRetries: 5, retryDelay: 200 }));

  /**
   * @param {'npm' | 'npx'} command
   * @param {readonly string[]} args
   * @param {string} cwd
   */
  function run(command, args, cwd) {
    // `npm test` passes the project's .npmrc on, which makes npm install for Windows on Linux, too.
    const env = { ...process.env, npm_config_os: undefined, npm_config_cpu: undefined };
    // To Windows npm is a script, which only a shell runs. None of the arguments needs quotes.
    return spawnSync(command, args, { cwd, env, encoding: 'utf8', shell: process.platform === 'win32' });
  }

  before(() => {
    mkdirSync(folder);
    const packed = run('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', directory], root);
    assert.equal(packed.status, 0, packed.stderr);
    const tarball = join(directory, `${name}-${version}.tgz`);
    // No script of a dependency may run: npm asks before it allows one, and nothing here needs it.
    const install = ['install', '--prefix', folder, '--ignore-scripts', '--prefer-offline', '--loglevel=error'];
    const { status, stderr } = run('npm', [...install, '--no-audit', '--no-fund', tarball], folder);
    assert.equal(status, 0, stderr);
  });

  it('brings the command and its pages, and no sources, source maps or tests', () => {
    assert.deepEqual(
      readdirSync(installed)
        .filter((each) => each !== 'node_modules')
        .sort(),
      [
        'LICENSE',
        'README.md',
        'action',
        'action.yml',
        'bin',
        'bundle',
        'dist',
        'docs',
        'include',
        'launcher',
        'package.json',
        'schema',
      ],
    );
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      files.filter((path) => /\.map$|\.test\.|[\\/]\.built$|platform\.md$/.test(path)),
      [],
    );
  });

  it('has the completions of the shells, and an action that can be used from where it was unpacked', () => {
    assert.deepEqual(readdirSync(join(installed, 'bundle/completions')).sort(), [
      '_unclosed',
      'unclosed.bash',
      'unclosed.fish',
      'unclosed.ps1',
    ]);
    assert.deepEqual(readdirSync(join(installed, 'action')).sort(), ['inputs.js', 'run.js']);
  });

  it('has the programs that the tool starts by their paths, the self-test’s among them', () => {
    for (const program of ['query-helper-main.js', 'guardian-main.js', 'faults-main.js'])
      assert.ok(existsSync(join(installed, 'bundle', program)), program);
  });

  it('has less than 2.4 MB', () => {
    assert.ok(statSync(join(directory, `${name}-${version}.tgz`)).size < 2_400_000);
  });

  it('is without fault to publint', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    assert.deepEqual(messages, []);
  });

  it('needs koffi, and nothing else', () => {
    const packages = readdirSync(join(folder, 'node_modules')).filter((each) => !/^[.@]/.test(each));
    assert.deepEqual(packages.sort(), ['koffi', name]);
  });

  it('has all that it needs where it was installed', () => {
    const { stdout } = run('npx', ['--no-install', name, 'doctor', '--json'], folder);
    const { checks } = JSON.parse(stdout);
    assert.ok(checks.length > 0);
    assert.deepEqual(
      checks.filter((/** @type {{ status: string }} */ { status }) => status === 'missing'),
      [],
    );
  });

  it('audits a program from where it was installed', () => {
    const program = join(root, 'fixtures/build/leaks-event.exe');
    assert.ok(existsSync(program));
    const { status, stdout, stderr } = run('npx', ['--no-install', name, 'run', '--json', '--', program], folder);
    assert.equal(status, 1, stderr);
    const { tool, findings } = JSON.parse(stdout);
    assert.deepEqual(tool, { name, version });
    assert.deepEqual(
      findings.map((/** @type {{ rule: string }} */ { rule }) => rule),
      ['leak'],
    );
  });
});
