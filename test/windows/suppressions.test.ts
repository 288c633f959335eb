import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { fixturePath, type JsonReport, runTool } from './tool.ts';

interface Suppressed extends JsonReport {
  readonly suppressions: readonly {
    readonly line: string;
    readonly source: string;
    readonly lineNumber: number;
    readonly reason?: string;
    readonly findings: number;
  }[];
}

const directory = mkdtempSync(join(tmpdir(), 'unclosed-suppressions-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function write(text: string): string {
  const file = join(directory, `${++files}.supp`);
  writeFileSync(file, text);
  return file;
}

describe('Node.js', () => {
  // A script that makes Node.js open handles for itself, in all the ways that scripts do.
  const everything = `const fs = require('fs'), net = require('net'), cp = require('child_process'), { Worker } = require('worker_threads');
    fs.readFile(process.execPath, () => {}); process.on('SIGINT', () => {});
    const server = net.createServer((client) => client.end('x')).listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, '127.0.0.1').on('data', () => {}).on('close', () => {
        server.close();
        new Worker('1', { eval: true }).on('exit', () => cp.exec('cmd /c echo hi', () => require('zlib').gzip('abc', () => {})));
      });
    });`;

  it.each([
    ['prints a line', 'console.log(1)', 0],
    ['calls process.exit', 'process.exit(3)', 3],
    ['throws', 'throw new Error("on purpose")', 1],
    ['aborts', 'process.abort()', 134],
    ['uses files, sockets, children, threads', everything, 0],
  ])('is clean when its script %s', async (_, script, scriptExitCode) => {
    const run = await runTool(['run', '--json', '--', process.execPath, '-e', script]);
    const report = JSON.parse(run.stdout) as Suppressed;
    expect(report.findings).toEqual([]);
    expect(run.exitCode).toBe(0);
    expect(report.target.exitCode).toBe(scriptExitCode);
    expect(report.suppressions.length).toBeGreaterThanOrEqual(1);
    for (const { source, reason, findings } of report.suppressions)
      expect([source, typeof reason, findings > 0]).toEqual(['default', 'string', true]);
    expect(report.stats['suppressed']).toBe(report.suppressions.reduce((sum, { findings }) => sum + findings, 0));
  });

  it('names libuv as the one that keeps its own, without a suppression', async () => {
    const args = ['run', '--json', '--notes', '--no-default-suppressions', '--', process.execPath, '-e', '1'];
    const { findings } = JSON.parse((await runTool(args)).stdout) as Suppressed;
    const notes = findings.filter(({ message }) => message.includes('the runtime opened'));
    expect(notes.map(({ object }) => object.type).toSorted()).toEqual(['IoCompletion', 'Semaphore']);
    expect(notes.find(({ object }) => object.type === 'Semaphore')?.message).toContain(
      'that the runtime opened once for itself (uv_once)',
    );
  });

  it('shows what it keeps with --no-default-suppressions', async () => {
    const run = await runTool(['run', '--json', '--no-default-suppressions', '--', process.execPath, '-e', '1']);
    const report = JSON.parse(run.stdout) as Suppressed;
    expect(report.findings.map(({ level, object }) => `${level} ${object.type}`)).toEqual(['warning Section']);
    expect(report.suppressions).toEqual([]);
    expect(run.exitCode).toBe(1);
  });

  it('is not clean when its script leaves a file open', async () => {
    const run = await runTool([
      'run',
      '--json',
      '--',
      process.execPath,
      '-e',
      'require("fs").openSync(process.execPath)',
    ]);
    expect((JSON.parse(run.stdout) as JsonReport).findings.map(({ rule, object }) => [rule, object.type])).toEqual([
      ['leak', 'File'],
    ]);
    expect(run.exitCode).toBe(1);
  });
});

describe('--suppress', () => {
  it('leaves out what its lines match, and says how much and by which', async () => {
    const file = write('# known\nleak:leak_event\n\nleak:nobody\n');
    const run = await runTool(['run', '--json', '--suppress', file, '--', fixturePath('leaks-event')]);
    const report = JSON.parse(run.stdout) as Suppressed;
    expect(report.findings).toEqual([]);
    expect(report.suppressions).toEqual([
      { line: 'leak:leak_event', source: file, lineNumber: 2, findings: 1 },
      { line: 'leak:nobody', source: file, lineNumber: 4, findings: 0 },
    ]);
    expect(report.stats['suppressed']).toBe(1);
    expect(run.exitCode).toBe(0);
  });

  it('lists what was suppressed with --suppressed, and does not fail for it', async () => {
    const file = write('leak:leak_event');
    const args = ['--suppressed', '--suppress', file, '--', fixturePath('leaks-event')];
    const run = await runTool(['run', '--json', ...args]);
    const report = JSON.parse(run.stdout) as Suppressed;
    expect(report.findings).toMatchObject([
      {
        rule: 'leak',
        level: 'warning',
        status: 'suppressed',
        suppressedBy: { line: 'leak:leak_event', source: file, lineNumber: 1 },
      },
    ]);
    expect(report.stats['suppressed']).toBe(1);
    expect(run.exitCode).toBe(0);

    const drawn = await runTool(['run', ...args]);
    expect(drawn.stderr).toMatch(/^SUPPRESSED leak {2}1 Event handle/m);
    expect(drawn.stderr.replaceAll(/\s+/g, ' ')).toMatch(/✓ No leaks .*, 1 suppressed\. $/);
    expect(drawn.exitCode).toBe(0);
  });

  it('may be given several times, and leaves in what no line matches', async () => {
    const files = [write('double-close:close_again'), write('leak:other')];
    const run = await runTool([
      'run',
      '--suppress',
      files[0]!,
      '--suppress',
      files[1]!,
      '--notes',
      '--',
      fixturePath('double-closes-event'),
    ]);
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toMatch(/^Suppressed: 1 finding\./m);
    expect(run.stderr.replaceAll(/\s+/g, ' ')).toMatch(/Suppressions that matched nothing: • .*\.supp:1 leak:other/);
    const other = await runTool(['run', '--suppress', files[1]!, '--', fixturePath('double-closes-event')]);
    expect(other.exitCode).toBe(1);
  });

  it('takes what the reporter of that name wrote, of the demo with all its mistakes', async () => {
    const file = join(directory, 'known.supp');
    const first = await runTool(['run', '--reporter', `suppressions=${file}`, '--', fixturePath('demo')]);
    expect(first.exitCode).toBe(1);
    expect(readFileSync(file, 'utf8')).toMatch(
      /^# error: .*\nleak:type:\^File\$;\^demo\.exe!open_log\$;\^demo\.exe!rotate_log\$$/m,
    );
    const second = await runTool(['run', '--json', '--suppress', file, '--', fixturePath('demo')]);
    const report = JSON.parse(second.stdout) as Suppressed;
    expect(report.findings).toEqual([]);
    expect(report.suppressions.map(({ findings }) => findings)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(second.exitCode).toBe(0);
  });

  it.each([
    [
      'a line that is none',
      () => write('leak:fine\nopen_gate'),
      /^unclosed: Cannot use suppressions ".*": line 2: "open_gate" has no rule before a colon\. Try leak:module!function\.\n$/,
    ],
    ['a line that matches everything', () => write('leak:*'), /line 1: a pattern matches everything\./],
    [
      'a file that is not there',
      () => join(directory, 'none.supp'),
      /^unclosed: Option '--suppress <file>' argument '.*' is invalid\. It cannot be read \(ENOENT\)\. Try/,
    ],
  ])('refuses %s before the program runs', async (_, file, message) => {
    const run = await runTool(['run', '--suppress', file(), '--', fixturePath('leaks-event')]);
    expect(run.stderr).toMatch(message);
    expect([run.exitCode, run.stdout]).toEqual([2, '']);
  });
});
