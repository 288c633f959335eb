// The reports of one run in many formats: where each goes, and the summary of a step.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const cwd = makeDirectory();
const leaky = join(fixtures, 'leaks-event.exe');

describe('reports for machines', { skip }, () => {
  it('are written in one run, each to its file', () => {
    const files = {
      sarif: 'a.sarif',
      junit: 'a.xml',
      gitlab: 'a.gitlab.json',
      markdown: 'a.md',
      folded: 'a.folded',
      csv: 'a.csv',
      ndjson: 'a.ndjson',
      json: 'a.json',
    };
    const reporters = Object.entries(files).map(([name, file]) => `--reporter ${name}=${file}`);
    const { status, stderr } = shell(`${unclosed} run ${reporters.join(' ')} --reporter table -- '${leaky}'`, {
      cwd,
    });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^WARNING leak/m);
    for (const file of Object.values(files)) assert.ok(readFileSync(join(cwd, file), 'utf8').endsWith('\n'), file);
    const { runs } = JSON.parse(readFileSync(join(cwd, 'a.sarif'), 'utf8'));
    const { findings } = JSON.parse(readFileSync(join(cwd, 'a.json'), 'utf8'));
    assert.deepEqual(
      runs[0].results.map((/** @type {any} */ { partialFingerprints }) => partialFingerprints['unclosed/v1']),
      findings.map((/** @type {any} */ { fingerprint }) => fingerprint),
    );
    assert.match(readFileSync(join(cwd, 'a.folded'), 'utf8'), /;leaks-event\.exe!leak_event;.*;\[Event\] 1\n$/);
  });

  it('name source files from the root of the Git work tree above the working directory', () => {
    const root = join(fixtures, '..', '..');
    const below = join(root, 'fixtures');
    const isWorkTree = existsSync(join(root, '.git'));
    const { stdout } = shell(`${unclosed} run --reporter gitlab -- '${leaky}'`, { cwd: below });
    const [{ location }] = JSON.parse(stdout);
    assert.equal(location.path, isWorkTree ? 'fixtures/leaks-event.c' : 'leaks-event.c');
  });

  it('add a summary to the file that GitHub names, and annotations to stdout', () => {
    const summary = join(cwd, 'summary.md');
    writeFileSync(summary, 'before\n');
    const env = { GITHUB_STEP_SUMMARY: summary };
    const { status, stdout, stderr } = shell(`${unclosed} run --reporter github -- '${leaky}'`, { cwd, env });
    assert.equal(status, 1, stderr);
    assert.match(stdout, /^::warning .*title=Leaked handle \(leak\)::One Event handle/);
    assert.match(readFileSync(summary, 'utf8'), /^before\n### `unclosed`: 1 warning in `leaks-event\.exe`\n/);
  });

  it('are refused before the program runs, where the summary cannot be written', () => {
    const summary = join(cwd, 'directory');
    mkdirSync(summary);
    const env = { GITHUB_STEP_SUMMARY: summary };
    const { status, stdout, stderr } = shell(`${unclosed} run --reporter github -- '${leaky}'`, { cwd, env });
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^unclosed: Cannot write report ".*directory": it is a directory \(EISDIR\)\./);
  });
});
