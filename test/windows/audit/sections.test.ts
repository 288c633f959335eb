import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { attach, type AttachOptions } from '../../../src/audit/index.ts';
import type { Report } from '../../../src/model.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { fixturePath, type JsonFinding, type JsonReport, programFrame, runTool } from '../tool.ts';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-sections-'));
afterAll(() => rmSync(directory, { recursive: true }));

const markModule = JSON.stringify(new URL('../../../dist/marks/mark.js', import.meta.url).href);

let names = 0;

/** An audit by the command, with a pipe for sections. */
async function auditSections(
  program: readonly string[],
  options: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<JsonReport & { readonly exit: number | null }> {
  const mark = `pipe:unclosed-sections-${process.pid}-${++names}`;
  const run = await runTool(['run', '--json', '--mark', mark, ...options, '--', ...program], undefined, [], { env });
  expect(run.stdout, run.stderr).not.toBe('');
  return { ...(JSON.parse(run.stdout) as JsonReport), exit: run.exitCode };
}

function summarise({ level, object, count, stacks, sections = {} }: JsonFinding): string {
  const parts = (sections.opened ?? []).map(({ names: of, count: part }) => `${of.join(' or ')} (${part})`).join(', ');
  const left = sections.leftIn === undefined ? '' : `, left in ${sections.leftIn}`;
  return `${level} ${object.type} × ${count} at ${programFrame(stacks['opened'])?.function} in ${parts}${left}`;
}

const serious = ({ findings }: { readonly findings: readonly JsonFinding[] }): readonly string[] =>
  findings
    .filter(({ level }) => level !== 'note')
    .map(summarise)
    .toSorted();

describe('a test that unclosed.h labels', () => {
  it.each(['googletest', 'catch2', 'doctest'])('with %s is named where it leaks, and only there', async (framework) => {
    const program = `tests-with-${framework}`;
    if (!existsSync(fixturePath(program))) {
      console.warn(`${program} was not built: its framework, or a g++ with winpthreads, is not installed.`);
      return;
    }
    const leaking = await auditSections([fixturePath(program)]);
    expect(leaking.target.exitCode).toBe(0);
    expect(serious(leaking)).toEqual([
      expect.stringMatching(/^warning File × 1 at .*open_log in Cache\.evicts \(1\)$/),
    ]);
    expect(leaking.findings[0]?.message).toMatch(/ Opened in test `Cache\.evicts`\.$/);
    expect(leaking.stats['sections']).toBe(3);
    expect(leaking.completeness).toMatchObject({ complete: true });

    const clean = await auditSections([fixturePath(program)], ['--leaks-by-section'], { CLEAN: '1' });
    expect(serious(clean)).toEqual([]);
    expect([clean.exit, clean.target.exitCode]).toEqual([0, 0]);
  });

  it('by hand, in C89, is named although all tests lie within one tick of the clock', async () => {
    const report = await auditSections([fixturePath('tests-by-hand')]);
    expect(serious(report)).toEqual(['warning Semaphore × 1 at open_semaphore in uses pool (1)']);
    expect([report.target.exitCode, report.stats['sections']]).toEqual([0, 6]);
    const plain = await runTool(['run', '--json', '--', fixturePath('tests-by-hand')]);
    const { findings } = JSON.parse(plain.stdout) as JsonReport;
    expect(findings[0]?.fingerprint).toBe(report.findings[0]?.fingerprint);
  });

  it('does nothing without an audit, and nothing by which a correct program is accused', async () => {
    const alone = await runTool(['run', '--json', '--', fixturePath('tests-by-hand-clean')]);
    expect(alone.exitCode).toBe(0);
    const clean = await auditSections([fixturePath('tests-by-hand-clean')], ['--leaks-by-section']);
    expect([clean.exit, clean.target.exitCode, serious(clean)]).toEqual([0, 0, []]);
  });
});

describe('--leaks-by-section', () => {
  it('finds what a test leaves open although it is closed later, and a first use once', async () => {
    const report = await auditSections([fixturePath('tests-by-hand')], ['--leaks-by-section']);
    expect(serious(report)).toEqual([
      'warning Event × 1 at open_event in keeps (1), left in 1',
      'warning Event × 1 at open_event in keeps another (1), left in 1',
      'warning Semaphore × 1 at open_semaphore in uses pool (1), left in 1',
    ]);
  });

  it('makes an error of a site that test after test leaves something at', async () => {
    const script = join(directory, 'tests.mjs');
    writeFileSync(
      script,
      `import { section } from ${markModule};
      import { closeSync, openSync } from 'node:fs';
      const kept = [];
      const keep = () => kept.push(openSync(process.execPath));
      for (const name of ['a', 'b', 'c']) await section(name, keep);
      await section('closes', () => closeSync(openSync(process.execPath)));
      kept.forEach(closeSync);`,
    );
    const report = await auditSections([process.execPath, script], ['--leaks-by-section']);
    expect(serious(report)).toEqual([
      expect.stringMatching(/^error File × 3 at .* in a \(1\), b \(1\), c \(1\), left in 3$/),
    ]);
    expect(report.findings[0]?.message).toMatch(/ Left open at the ends of 3 tests\.$/);
    expect(report.target.exitCode).toBe(0);
  });

  it('without a section is incomplete, and without a pipe refused', async () => {
    const { completeness, exit } = await auditSections([fixturePath('leaks-event-clean')], ['--leaks-by-section']);
    expect(completeness.notes[0]).toMatch(/^No section was begun by /);
    expect(exit).toBe(0);
    for (const options of [['--leaks-by-section'], ['--leaks-by-section', '--mark', 'an-event']]) {
      const run = await runTool(['run', ...options, '--', fixturePath('leaks-event-clean')]);
      expect([run.exitCode, run.stdout]).toEqual([2, '']);
      expect(run.stderr).toMatch(/^unclosed: Cannot take marks by "[^"]*": .* Try a pipe: pipe:/);
    }
  });
});

describe('attach --leaks-by-section', () => {
  /** Works when its stdin names a pipe, and ends with its stdin. */
  const script = join(directory, 'attached.mjs');
  const working = `import { section } from ${markModule};
    import { closeSync, openSync } from 'node:fs';
    import { createInterface } from 'node:readline';
    const kept = [];
    const keep = () => kept.push(openSync(process.execPath));
    for await (const pipe of createInterface({ input: process.stdin })) {
      for (const name of ['a', 'b']) await section(name, keep, pipe);
      await section('closes', () => closeSync(openSync(process.execPath)), pipe);
      kept.forEach(closeSync);
      process.stdout.write('done\\n');
    }`;

  /** Attaches to the process while it works. */
  async function attachWith(options: Partial<AttachOptions>): Promise<Report> {
    writeFileSync(script, working);
    const worker = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const stop = new AbortController();
    const pipe = `unclosed-sections-${process.pid}-${++names}`;
    worker.stdout.on('data', () => stop.abort());
    try {
      return await attach({
        processes: [findProcess(String(worker.pid))],
        mark: `pipe:${pipe}`,
        signal: stop.signal,
        onAttached: () => worker.stdin.write(`${pipe}\n`),
        ...options,
      });
    } finally {
      worker.stdin.end();
      await once(worker, 'exit');
    }
  }

  const leaksOf = ({ findings }: Report): readonly string[] =>
    findings
      .filter(({ level }) => level !== 'note')
      .map(({ level, object, count, sections }) => `${level} ${object.type} × ${count}, left in ${sections?.leftIn}`);

  it('finds what tests of a running process leave open, although it is closed later', async () => {
    const report = await attachWith({ leaksBySection: true });
    expect(leaksOf(report)).toEqual(['error File × 2, left in 2']);
    expect(report.findings[0]?.message).toContain('Opened in tests `a` (1) and `b` (1).');
    expect(report.completeness.gaps.map(({ kind }) => kind)).not.toContain('no-sections');
  });

  it('is off by default', async () => {
    expect(leaksOf(await attachWith({}))).toEqual([]);
  });

  it('is refused without a pipe', async () => {
    const run = await runTool(['attach', String(process.pid), '--leaks-by-section']);
    expect(run).toMatchObject({ exitCode: 2, stdout: '' });
    expect(run.stderr).toMatch(/there is no pipe to say which section begins\. Try a pipe: pipe:my-test\.$/m);
  });
});

describe('sections of Node.js', () => {
  it('that overlap are both named, and one that is not open cannot end', async () => {
    const script = join(directory, 'overlaps.mjs');
    writeFileSync(
      script,
      `import { begin, end } from ${markModule};
      import { openSync } from 'node:fs';
      await begin('one');
      await begin('two');
      openSync(process.execPath);
      await end('one');
      await end();
      await end().then(() => { process.exitCode = 9; }, () => {});`,
    );
    const { findings, target } = await auditSections([process.execPath, script]);
    const leak = findings.find(({ level, object }) => level !== 'note' && object.type === 'File');
    expect(leak?.sections).toEqual({ opened: [{ names: ['one', 'two'], count: 1 }] });
    expect(leak?.message).toMatch(/ Opened in one of `one`, `two`, all open at the time\.$/);
    expect(target.exitCode).toBe(0);
  });

  it('in child processes at once are each process’s own', async () => {
    const worker = join(directory, 'worker.mjs');
    writeFileSync(
      worker,
      `import { begin, end } from ${markModule};
      import { openSync } from 'node:fs';
      await begin('test of ' + process.argv[2]);
      process.send('begun');
      await new Promise((resolve) => process.once('message', resolve));
      openSync(process.execPath);
      await end();
      process.disconnect();`,
    );
    const runner = join(directory, 'runner.mjs');
    writeFileSync(
      runner,
      `import { fork } from 'node:child_process';
      import { once } from 'node:events';
      const workers = ['a', 'b'].map((name) => fork(${JSON.stringify(worker)}, [name]));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      for (const worker of workers) worker.send('go on');
      await Promise.all(workers.map((worker) => once(worker, 'exit')));`,
    );
    const { findings } = await auditSections([process.execPath, runner]);
    const leak = findings.find(({ level, object, sections }) => level !== 'note' && object.type === 'File' && sections);
    expect(leak?.sections?.opened?.toSorted((x, y) => (x.names[0]! < y.names[0]! ? -1 : 1))).toEqual([
      { names: ['test of a'], count: 1 },
      { names: ['test of b'], count: 1 },
    ]);
  });

  it('with a hostile name are escaped where they are shown', async () => {
    const name = `unclosed-sections-${process.pid}-hostile`;
    const script = `const c = require('net').connect('\\\\\\\\.\\\\pipe\\\\${name}', () => c.write('begin a\\u001b[31m\\u202e<b>\`|x\\n'));
      c.once('data', () => { require('fs').openSync(process.execPath); c.end(); });`;
    const run = await runTool(['run', '--mark', `pipe:${name}`, '--', process.execPath, '-e', script]);
    expect(run.stderr).toContain('<b>');
    expect(run.stderr).not.toMatch(/\u001b\[31m|\u202e/);
  });
});
