import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { AuditOptions } from '../../src/audit/index.ts';
import { CreateEventW } from '../../src/ffi/kernel32.ts';
import { HandleOrNull } from '../../src/io/index.ts';
import type { IterationGrowth } from '../../src/model.ts';
import { fixturePath, type JsonFinding, type JsonReport, programFrame, runTool } from './tool.ts';
import { useAuditor } from './warm-auditor.ts';

type Finding = JsonFinding & { readonly growth?: IterationGrowth; readonly runs?: readonly number[] };

const directory = mkdtempSync(join(tmpdir(), 'unclosed-iterations-'));
afterAll(() => rmSync(directory, { recursive: true }));

let names = 0;
function newName(): string {
  return `unclosed-test-${process.pid}-${++names}`;
}

/** Modules of the build, for programs of their own. */
const markModule = JSON.stringify(new URL('../../dist/marks/mark.js', import.meta.url).href);
const auditModule = JSON.stringify(new URL('../../dist/audit/index.js', import.meta.url).href);

const audit = useAuditor();

/** An audit by the command. */
async function auditByCommand(
  options: readonly string[],
  program: readonly string[],
): Promise<JsonReport & { readonly findings: readonly Finding[]; readonly exit: number | null }> {
  const run = await runTool(['run', '--json', ...options, '--', ...program]);
  expect(run.stdout, run.stderr).not.toBe('');
  return { ...(JSON.parse(run.stdout) as JsonReport), exit: run.exitCode };
}

function withoutNotes({ findings }: JsonReport): readonly Finding[] {
  return findings.filter(({ level }) => level !== 'note');
}

function summarise({ level, object, count, stacks, growth }: Finding): string {
  const change =
    growth === undefined
      ? 'not judged'
      : `${growth.handlesPerIteration} per iteration, in ${growth.grewIn} of ${growth.iterations}`;
  return `${level} ${object.type} × ${count} at ${programFrame(stacks['opened'])?.function}: ${change}`;
}

describe('iterations that are marked', () => {
  const cases: readonly (readonly [string, string, Partial<AuditOptions>, readonly string[]])[] = [
    [
      'grow when each leaks',
      'leaks-per-iteration',
      {},
      ['error Event × 16 at serve_request: 2 per iteration, in 6 of 6'],
    ],
    ['do not grow when none does', 'leaks-per-iteration-clean', {}, []],
    [
      'do not make an error of a cache',
      'keeps-cache',
      {},
      ['warning Event × 60 at look_up: 0 per iteration, in 0 of 6'],
    ],
    ['do not speak of a cache that is emptied', 'keeps-cache-clean', {}, []],
    [
      'grow although the program closes all in the end',
      'closes-at-the-end',
      {},
      ['error Event × 8 at open_session: 1 per iteration, in 6 of 6'],
    ],
    ['may be shorter than what they leave to threads', 'closes-late', { settleMs: 5000 }, []],
    [
      'take a warm-up of another length',
      'keeps-cache',
      { analysis: { warmUpIterations: 0 } },
      ['warning Event × 60 at look_up: 7.5 per iteration, in 2 of 8'],
    ],
  ];

  it.each(cases)('by a pipe %s', async (_, program, options, expected) => {
    const name = `pipe:${newName()}`;
    const { report } = await audit({ program: fixturePath(program), args: [name], mark: name, ...options });
    expect(withoutNotes(report).map(summarise)).toEqual(expected);
    expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
    expect(report.stats['iterations']).toBe(8);
  });

  it.each([
    ['leaks-per-iteration', ['error Event × 16 at serve_request: 2 per iteration, in 6 of 6']],
    ['leaks-per-iteration-clean', []],
    ['closes-at-the-end', ['error Event × 8 at open_session: 1 per iteration, in 6 of 6']],
  ])('by an event are those of %s', async (program, expected) => {
    const name = newName();
    const { report } = await audit({ program: fixturePath(program), args: [name], mark: name });
    expect(withoutNotes(report).map(summarise)).toEqual(expected);
    expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
  });

  it.each([
    ['--warm-up', '0', 'keeps-cache', ['warning Event × 60 at look_up: 7.5 per iteration, in 2 of 8']],
    ['--settle', '5s', 'closes-late', []],
  ])('are judged by %s %s of the command', async (option, value, program, expected) => {
    const name = `pipe:${newName()}`;
    const { findings, stats, exit } = await auditByCommand(
      ['--mark', name, option, value],
      [fixturePath(program), name],
    );
    expect(findings.map(summarise)).toEqual(expected);
    expect(stats['iterations']).toBe(8);
    expect(exit).toBe(expected.length > 0 ? 1 : 0);
  });

  it('are shown with a sentence that says by how much', async () => {
    const name = `pipe:${newName()}`;
    const run = await runTool(['run', '--mark', name, '--', fixturePath('leaks-per-iteration'), name]);
    expect(run.stderr).toMatch(/ 8 iterations marked\r?$/m);
    expect(run.stderr.replaceAll(/\s+/g, ' ')).toContain(
      'The site grew in each of the 6 iterations after the warm-up, by 2 handles.',
    );
  });

  it('are not waited for when the program marks none, and the report says so', async () => {
    const name = newName();
    const { findings, completeness, exit } = await auditByCommand(
      ['--mark', name, '--require-complete'],
      [fixturePath('closes-at-the-end')],
    );
    expect(findings).toEqual([]);
    expect(completeness).toMatchObject({
      complete: false,
      notes: [`No mark came by Local\\${name}: growth from iteration to iteration could not be judged.`],
    });
    expect(exit).toBe(3);
  });

  it('in a burst all count, and are said to have been too fast', async () => {
    const name = newName();
    const script = `const c = require('net').connect('\\\\\\\\.\\\\pipe\\\\${name}', () => c.end('\\n'.repeat(99) + 'the last'))`;
    const { completeness, stats } = await auditByCommand(['--mark', `pipe:${name}`], [process.execPath, '-e', script]);
    expect(stats['iterations']).toBe(100);
    expect(completeness.notes[0]).toMatch(/^100 iterations were marked, faster than their handles could be counted/);
  });

  it('in a flood all count, although no more are read than can be counted', async () => {
    const name = newName();
    const script = `const c = require('net').connect('\\\\\\\\.\\\\pipe\\\\${name}', () => c.end('\\n'.repeat(300_000))).resume()`;
    const { stats } = await auditByCommand(
      ['--mark', `pipe:${name}`, '--fail-on', 'never'],
      [process.execPath, '-e', script],
    );
    expect(stats['iterations']).toBe(300_000);
  });

  it('have something to settle only where there are marks, which is said', async () => {
    const { completeness } = await auditByCommand(['--settle', '100'], [fixturePath('leaks-event-clean')]);
    expect(completeness).toMatchObject({
      complete: true,
      notes: [expect.stringMatching(/^There was nothing to settle/)],
    });
  });
});

describe('mark()', () => {
  const script = join(directory, 'iterates.mjs');
  writeFileSync(
    script,
    `import { mark } from ${markModule};
    import { closeSync, openSync } from 'node:fs';
    for (let iteration = 1; iteration <= 8; iteration++) {
      const file = openSync(process.execPath);
      if (process.argv[2] !== 'leaks') closeSync(file);
      if (await mark() !== (process.argv[3] === 'alone' ? 0 : iteration)) process.exitCode = 9;
    }`,
  );

  it('in an audited Node.js program marks its iterations', async () => {
    const options = ['--mark', `pipe:${newName()}`, '--fail-on', 'error'];
    const leaking = await auditByCommand(options, [process.execPath, script, 'leaks']);
    expect(leaking.target.exitCode).toBe(0);
    // V8 compiles the loop after a while, and the file of an iteration before that has another stack: a site that does
    // not grow.
    const errors = leaking.findings.filter(({ level }) => level === 'error');
    expect(errors.map(({ object, growth }) => [object.type, growth?.handlesPerIteration])).toEqual([['File', 1]]);
    const closing = await auditByCommand(options, [process.execPath, script, 'closes']);
    expect(closing.target.exitCode).toBe(0);
    expect(closing.findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(closing.exit).toBe(0);
  });

  it('does nothing without an audit', async () => {
    const child = spawn(process.execPath, [script, 'closes', 'alone'], { stdio: 'ignore' });
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('in the auditor’s own process marks the iterations that a test harness drives', async () => {
    const [output, harness, name] = [join(directory, 'harness.json'), join(directory, 'harness.mjs'), newName()];
    writeFileSync(
      harness,
      `import { writeFileSync } from 'node:fs';
      import { once } from 'node:events';
      import { createServer } from 'node:net';
      import { audit, mark } from ${auditModule};
      const path = '\\\\\\\\.\\\\pipe\\\\${name}-requests';
      const server = createServer().listen(path);
      const auditing = audit({ program: process.argv[2], args: [path], mark: 'pipe:${name}', targetStdout: 'stderr' });
      const [service] = await once(server, 'connection');
      for (let marks = 0; marks < 6; marks++) {
        service.write('?');
        await once(service, 'data');
        await mark('pipe:${name}');
      }
      service.end();
      server.close();
      const { findings } = await auditing;
      writeFileSync(process.argv[3], JSON.stringify(findings.map(({ level, object, growth }) => ({ level, type: object.type, growth }))));`,
    );
    const stderr = openSync(join(directory, 'harness.err'), 'w');
    const child = spawn(process.execPath, [harness, fixturePath('opens-on-request'), output], {
      stdio: ['ignore', stderr, stderr],
    });
    await once(child, 'exit');
    closeSync(stderr);
    expect(child.exitCode, readFileSync(join(directory, 'harness.err'), 'utf8')).toBe(0);
    const findings = JSON.parse(readFileSync(output, 'utf8')) as {
      level: string;
      type: string;
      growth?: IterationGrowth;
    }[];
    const errors = findings.filter(({ level }) => level === 'error');
    expect(errors).toMatchObject([{ type: 'Event', growth: { iterations: 4, grewIn: 4, handlesPerIteration: 3 } }]);
  });

  it('says so when no auditor is behind the name', async () => {
    const { mark } = await import('../../src/marks/mark.ts');
    await expect(mark(newName())).rejects.toThrow(
      /^Cannot mark an iteration by "\\\\\.\\pipe\\unclosed-test-[^"]*": no auditor takes marks there \(ENOENT\)\. Try/,
    );
  });

  it('says so when its auditor goes away without an answer', async () => {
    const { mark } = await import('../../src/marks/mark.ts');
    const path = `\\\\.\\pipe\\${newName()}`;
    const server = createServer((socket) => socket.on('data', () => socket.destroy())).listen(path);
    await once(server, 'listening');
    await expect(mark(path)).rejects.toThrow(/Cannot mark an iteration/);
    server.close();
  });
});

describe('a mark that cannot be taken is refused with one line and exit code 2:', () => {
  it('a pipe that another process has', async () => {
    const name = newName();
    const server = createServer().listen(`\\\\.\\pipe\\${name}`);
    await once(server, 'listening');
    const run = await runTool(['run', '--mark', `pipe:${name}`, '--', fixturePath('leaks-event')]);
    server.close();
    expect(run.stderr).toMatch(
      /^unclosed: Cannot take marks by "\\\\\.\\pipe\\unclosed-test-[^"]*": another process has a pipe of that name\. Try another name\.\n$/,
    );
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });

  it('an event that another process has', async () => {
    const name = newName();
    using _event = HandleOrNull.fromRawHandle(CreateEventW(null, false, false, `Local\\${name}`)).expect(
      'create event',
      name,
    );
    const run = await runTool(['run', '--mark', name, '--', fixturePath('leaks-event')]);
    expect(run.stderr).toMatch(
      /^unclosed: Cannot take marks by "Local\\unclosed-test-[^"]*": another process has an event of that name \(ERROR_ALREADY_EXISTS 183\)\. Try another name\.\n$/,
    );
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });

  it.each([
    ['no name', ['--mark', 'pipe:'], /it has no name/],
    ['a path', ['--mark', 'a\\b'], /a name holds no backslash/],
    ['a repetition of nothing', ['--repeat', '0'], /A whole number from 1 to 10000 is needed/],
    ['a settle time in words', ['--settle', 'soon'], /A duration like/],
  ])('%s', async (_, options, message) => {
    const run = await runTool(['run', ...options, '--', fixturePath('leaks-event')]);
    expect(run.stderr).toMatch(message);
    expect(run.stderr.trimEnd()).not.toContain('\n');
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });
});

describe('a program that is run repeatedly', () => {
  it('has each finding once, with its handles in each run', async () => {
    const { findings, target, stats, exit, ...rest } = await auditByCommand(
      ['--repeat', '3'],
      [fixturePath('leaks-in-loop')],
    );
    expect(findings.map(({ level, count, runs }) => ({ level, count, runs }))).toEqual([
      { level: 'warning', count: 10, runs: [10, 10, 10] },
    ]);
    expect(findings[0]!.message).toMatch(/ In each of 3 runs, 10 handles a run\.$/);
    const { runs } = rest as unknown as { runs: readonly { pid: number; exitCode: number; durationMs: number }[] };
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(new Set(runs.map(({ pid }) => pid)).size).toBe(3);
    expect(target.pid).toBe(runs[2]!.pid);
    expect(stats['durationMs']).toBeCloseTo(
      runs.reduce((sum, { durationMs }) => sum + durationMs, 0),
      3,
    );
    expect(exit).toBe(1);
  });

  it('is flaky where a leak is not in all of the runs, and failed when one of them did', async () => {
    const state = join(directory, 'state');
    // One letter a run: the second of three leaks a file and fails.
    const script = `const fs = require('fs'); fs.appendFileSync(${JSON.stringify(state)}, 'x');
      if (fs.readFileSync(${JSON.stringify(state)}).length === 2) { fs.openSync(process.execPath); process.exitCode = 5; }`;
    const { findings, target } = await auditByCommand(['--repeat', '3'], [process.execPath, '-e', script]);
    expect(findings.map(({ object, runs }) => [object.type, runs])).toEqual([['File', [0, 1, 0]]]);
    expect(findings[0]!.message).toMatch(/ Flaky: in 1 of 3 runs, 1 handle a run\.$/);
    expect(target.exitCode).toBe(5);
  });
});

it('the client of a pipe may write without reading', async () => {
  const name = newName();
  const script = `const net = require('net'); const path = '\\\\\\\\.\\\\pipe\\\\${name}'; let n = 0;
    const once = () => { const c = net.connect(path, () => { c.end('x\\n'); setTimeout(() => ++n < 6 && once(), 80); }); }; once();`;
  const { stats } = await auditByCommand(
    ['--mark', `pipe:${name}`, '--fail-on', 'never'],
    [process.execPath, '-e', script],
  );
  expect(stats['iterations']).toBe(6);
});
