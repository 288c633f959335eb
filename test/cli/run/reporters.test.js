// The reports of one run in many formats: where each goes, and the summary of a step.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readers } from './read-back.js';
import { fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const cwd = makeDirectory();
const leaky = join(fixtures, 'leaks-event.exe');

describe('reports for machines', { skip }, () => {
  it('are written in one run beside the table, and others read in each what was found', () => {
    const reporters = Object.keys(readers).map((name) => `--reporter ${name}=a.${name}`);
    const { status, stderr } = shell(`${unclosed} run ${reporters.join(' ')} --reporter table -- '${leaky}'`, {
      cwd,
    });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^WARNING leak/m);
    for (const [name, read] of Object.entries(readers)) {
      const text = readFileSync(join(cwd, `a.${name}`), 'utf8');
      assert.ok(text.endsWith('\n'), name);
      assert.deepEqual([name, read(text)], [name, 1]);
    }
    const { runs } = JSON.parse(readFileSync(join(cwd, 'a.sarif'), 'utf8'));
    const { findings, openOverTime, stats } = JSON.parse(readFileSync(join(cwd, 'a.json'), 'utf8'));
    assert.deepEqual(
      runs[0].results.map((/** @type {any} */ { partialFingerprints }) => partialFingerprints['unclosed/v1']),
      findings.map((/** @type {any} */ { fingerprint }) => fingerprint),
    );
    assert.match(readFileSync(join(cwd, 'a.folded'), 'utf8'), /;leaks-event\.exe!leak_event;.*;\[Event\] 1\n$/);
    const { timesMs, types } = openOverTime;
    assert.ok(timesMs.length > 0 && timesMs.length <= 200 && timesMs.at(-1) < stats.durationMs + 1000);
    const [events] = types.filter((/** @type {any} */ { type }) => type === 'Event');
    assert.ok(events.counts.at(-1) >= 1, 'the event that leaks is open at the end');
    assert.match(readFileSync(join(cwd, 'a.html'), 'utf8'), timesMs.length > 1 ? /aria-label="Event: / : /./);
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
