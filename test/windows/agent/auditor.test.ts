import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { GetExitCodeProcess, OpenProcess, WaitForMultipleObjectsAsync } from '../../../src/ffi/kernel32.ts';
import { HandleOrNull, type OwnedHandle } from '../../../src/io/index.ts';
import { HANG_MS } from '../../hang.ts';
import { fixturePath, type JsonReport, runTool } from '../tool.ts';
import { useAuditor } from '../warm-auditor.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const tool = here('../../../bin/unclosed.cjs');

const audit = useAuditor();

const SYNCHRONIZE = 0x10_0000;
const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;
const WAIT_OBJECT_0 = 0;
const WAIT_TIMEOUT = 0x102;

function waitFor(process: OwnedHandle, timeoutMs: number): Promise<number> {
  return WaitForMultipleObjectsAsync(1, BigInt64Array.of(process.asRawHandle()), false, timeoutMs);
}

/** The exit code of a process that is no child of this one. */
async function exitCodeOf(process: OwnedHandle): Promise<number | undefined> {
  expect(await waitFor(process, HANG_MS), 'it ends').toBe(WAIT_OBJECT_0);
  const code = new Uint32Array(1);
  expect(GetExitCodeProcess(process.asRawHandle(), code)).toBe(true);
  return code[0];
}

/** Reads a child's stdout until it holds the text. */
async function readUntil(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    const found = pattern.exec(text);
    if (found !== null) return found;
  }
  throw new Error(`${pattern} was not said: ${text}`);
}

describe('a target whose auditor is killed goes on and ends as by itself,', () => {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-killed-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

  test.each([
    { when: 'while it runs', said: /running (\d+)\n/, isEarly: true },
    { when: 'while it waits at the exit gate', said: /running (\d+)\n(?:at gate|threads stopped)\n/, isEarly: false },
  ])('$when', async ({ said, isEarly }) => {
    // It ends when the file is there.
    const file = join(directory, 'end');
    const script = `process.exitCode = 23; const timer = setInterval(() => fs.existsSync(${JSON.stringify(file)}) && clearInterval(timer), 20)`;
    if (!isEarly) writeFileSync(file, '');
    const auditor = spawn(process.execPath, [here('idle-auditor.mjs'), process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [, pid] = await readUntil(auditor, said);
    using target = HandleOrNull.fromRawHandle(
      OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, false, Number(pid)),
    ).expect('open process', String(pid));
    expect(await waitFor(target, 200), 'it lives as long as its auditor keeps it').toBe(WAIT_TIMEOUT);
    auditor.kill();
    await once(auditor, 'exit');
    writeFileSync(file, '');
    expect(await exitCodeOf(target)).toBe(23);
  });

  test('while its other threads are suspended', async () => {
    const program = fixturePath('exits-beside-main-clean');
    const auditor = spawn(process.execPath, [here('idle-auditor.mjs'), program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [, pid] = await readUntil(auditor, /running (\d+)\nthreads stopped\n/);
    using target = HandleOrNull.fromRawHandle(
      OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, false, Number(pid)),
    ).expect('open process', String(pid));
    auditor.kill();
    expect(await exitCodeOf(target)).toBe(8);
  });
});

test('two threads that end the process at once are judged once, five times in a row', async () => {
  for (let round = 0; round < 5; round++) {
    const { report } = await audit({ program: fixturePath('exits-from-two-threads') });
    expect(report.findings.filter(({ level }) => level !== 'note').map(({ rule, count }) => ({ rule, count }))).toEqual(
      [{ rule: 'leak', count: 1 }],
    );
    expect(report.target.exitCode).toBe(6);
    expect(report.completeness.complete, report.completeness.notes.join()).toBe(true);
  }
});

test('what is beyond --max-handles makes the report incomplete, and says so', async () => {
  const script = 'for (let i = 0; i < 1100; i++) require("fs").openSync(process.execPath)';
  const run = await runTool([
    'run',
    '--json',
    '--max-handles',
    '1024',
    '--fail-on',
    'never',
    '--require-complete',
    '--',
    process.execPath,
    '-e',
    script,
  ]);
  const { completeness } = JSON.parse(run.stdout) as JsonReport;
  expect(completeness.complete).toBe(false);
  expect(completeness.notes.join('\n')).toMatch(
    /^\d+ calls were about handle values beyond the recorder's capacity; try a larger --max-handles\.$/m,
  );
  expect(run.exitCode).toBe(3);
});

test('an auditor holds nothing after its audits, and no more handles after the third than after the second', () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [here('audits-thrice.mjs'), fixturePath('leaks-connected-socket')],
    { encoding: 'utf8' },
  );
  expect(stdout, stderr).not.toBe('');
  const rounds = JSON.parse(stdout) as { findings: number; liveOwners: string[]; handles: number }[];
  expect(rounds.map(({ liveOwners }) => liveOwners)).toEqual([[], [], []]);
  expect(rounds.every(({ findings }) => findings > 0)).toBe(true);
  expect(rounds[2]?.handles).toBe(rounds[1]?.handles);
});

test('auditing the auditor finds no error in it, and its own report is right', async () => {
  const inner = ['run', '--json', '--', fixturePath('leaks-event')];
  const run = await runTool(['run', '--json', '--', process.execPath, tool, ...inner]);
  const report = JSON.parse(run.stdout) as JsonReport;
  expect(report.findings.filter(({ level }) => level === 'error')).toEqual([]);
  expect(report.target.exitCode, 'the exit code of the inner audit: findings').toBe(1);
  // The target's stdout goes to stderr, for the report has stdout.
  const innerReport = JSON.parse(
    run.stderr.slice(run.stderr.indexOf('{'), run.stderr.lastIndexOf('}') + 1),
  ) as JsonReport;
  expect(
    innerReport.findings.filter(({ level }) => level !== 'note').map(({ rule, object }) => [rule, object.type]),
  ).toEqual([['leak', 'Event']]);
});

test('a program whose unwind data lead out of its stack, as those of Go do at its bottom, runs to its end', async () => {
  const program = fileURLToPath(
    new URL('../../../node_modules/@typescript/typescript-win32-x64/lib/tsc.exe', import.meta.url),
  );
  const run = await runTool(['run', '--json', '--fail-on', 'never', '--', program, '--version']);
  expect(run.exitCode, run.stderr).toBe(0);
  expect(run.stderr).toMatch(/^Version \d+\.\d+\.\d+\r?$/m);
  const { completeness, target } = JSON.parse(run.stdout) as JsonReport;
  expect(target.exitCode).toBe(0);
  expect(completeness.complete, completeness.notes.join()).toBe(true);
});
