import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { ntdllBase } from '../../src/agent/inject/locate/locate-hooks.ts';
import { GATE_ENDING_THREADS, GATE_WAITING, header } from '../../src/agent/ledger/layout.ts';
import { attach, type AttachOptions, audit } from '../../src/audit/index.ts';
import { HandleTable } from '../../src/handles/enumerate.ts';
import type { Report } from '../../src/model.ts';
import { findProcess, listProcesses, type ProcessInfo } from '../../src/process/processes.ts';
import { HANG_MS } from '../hang.ts';
import { setEvent } from './set-event.ts';
import { Target } from './target.ts';
import { fixturePath, runTool, toolPath } from './tool.ts';

const FIRST_PLACE_BELOW_NTDLL = 0x4000_0000n;
const ALLOCATION_GRANULARITY = 0x1_0000n;

function optionsFor(target: Target, options: Partial<AttachOptions> = {}): AttachOptions {
  return { processes: [findProcess(String(target.processId))], forMs: 800, everyMs: 80, ...options };
}

async function attachTo(target: Target, options: Partial<AttachOptions> = {}): Promise<Report> {
  return await attach(optionsFor(target, options));
}

/** `error leak 3 Event handles … at leak (x.c:3)`, without notes. */
function serious({ findings }: Report): readonly string[] {
  return findings
    .filter(({ level }) => level !== 'note')
    .map(({ level, rule, object, stacks }) => {
      const stack = stacks.offending ?? stacks.opened ?? [];
      const site = stack.find(({ system }) => system !== true);
      return `${level} ${rule} ${object.type} ${site?.function}`;
    });
}

/** The messages that say how a process came to its end. */
function speakOfEnd({ findings }: Report): readonly string[] {
  const messages = findings.map(({ message }) => message);
  return messages.filter((message) => /ended this one|the process (?:exited|crashed|was interrupted)/.test(message));
}

/** Whether the only thing that is wrong is the leak, as an error or, where an interval was too short for it, a note. */
function findsLeakAlone(report: Report): boolean {
  const others = serious(report).filter((each) => each !== 'error leak Event leak_event');
  const leak = report.findings.find(({ stacks }) => stacks.opened?.some((frame) => frame.function === 'leak_event'));
  return others.length === 0 && leak !== undefined && leak.count > 1;
}

const misuses = [
  'error double-close Event close_twice',
  'error double-close Event open_and_close_twice',
  'error use-after-close Event use_closed',
];

describe('an attach', () => {
  it('finds the site that grows in every interval, and leaves the process to run on', async () => {
    using target = await Target.start('works-without-pause', '8', '20');
    const report = await attachTo(target, { forMs: 4000, everyMs: 400 });
    expect(serious(report)).toEqual(['error leak Event leak_event']);
    expect(speakOfEnd(report)).toEqual([]);
    expect(report.target).toMatchObject({ pid: target.processId, attached: true });
    expect(report.target.exitCode).toBeUndefined();
    expect(report.completeness.complete).toBe(true);
    expect(report).not.toHaveProperty('openOverTime');
    expect(await target.stop()).toEqual({ exitCode: 0, output: expect.stringMatching(/^rounds [1-9]\d+\r?$/m) });
  });

  it('counts what is open over time, on demand', async () => {
    using target = await Target.start('works-without-pause', '8', '20');
    const { openOverTime, findings } = await attachTo(target, { countOverTime: true });
    const { timesMs = [], types = [] } = openOverTime ?? {};
    expect(timesMs.length).toBeGreaterThan(2);
    expect(timesMs.length).toBeLessThanOrEqual(200);
    expect(timesMs).toEqual(timesMs.toSorted((a, b) => a - b));
    const events = types.find(({ type }) => type === 'Event')!.counts;
    const leaked = findings.filter(({ rule, object }) => rule === 'leak' && object.type === 'Event');
    expect(events.at(-1)! - events[0]!).toBeGreaterThanOrEqual(leaked.length);
  });

  it('finds no error in a process whose threads work without pause', async () => {
    using target = await Target.start('works-without-pause', '8');
    const report = await attachTo(target);
    expect(serious(report)).toEqual([]);
    expect(speakOfEnd(report)).toEqual([]);
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });

  it.each([
    ['does not grow', 'clean', []],
    ['that keeps what it replaces grows', 'leak', ['error leak Event open_member']],
  ])('a pool that closes what was open before, and opens others in its place, %s', async (_what, how, expected) => {
    using target = await Target.start('rotates-pool', how);
    const report = await attachTo(target, { forMs: 3000, everyMs: 300 });
    expect(serious(report)).toEqual(expected);
    expect(speakOfEnd(report)).toEqual([]);
  });

  it('finds misuse of what was opened before and during the recording', async () => {
    using target = await Target.start('misuses-on-request');
    const report = await attachTo(target, { onAttached: () => setEvent(`unclosed-go-${target.processId}`) });
    expect(serious(report)).toEqual(misuses);
  });

  it('accuses nothing of what was opened before recording began, and is closed rightly', async () => {
    using target = await Target.start('misuses-on-request', 'clean');
    const report = await attachTo(target, { onAttached: () => setEvent(`unclosed-go-${target.processId}`) });
    expect(report.findings.map(({ message }) => message)).toEqual([]);
  });

  it('judges a process that ends meanwhile by what it leaves open', async () => {
    using target = await Target.start('misuses-on-request');
    const ending = attachTo(target, {
      forMs: 60_000,
      everyMs: 1000,
      onAttached: () => setEvent(`unclosed-go-${target.processId}`),
    });
    await target.hear('done');
    setEvent(`unclosed-go-${target.processId}`);
    const report = await ending;
    expect(serious(report)).toEqual([...misuses, 'warning leak Semaphore leak']);
    expect(report.target.exitCode).toBe(5);
  });

  it('reports on a process that is killed meanwhile, at once', async () => {
    using target = await Target.start('works-without-pause', '2', '20');
    const report = await attachTo(target, {
      forMs: 2 * HANG_MS,
      onCounts: () => target.kill(),
    });
    expect(report.target.exitCode).toBe(1);
    expect(report.completeness.gaps).toContainEqual({ kind: 'handle-table-lost', why: 'ended-from-outside' });
  });

  it('writes a report each time an event is set, and goes on', async () => {
    using target = await Target.start('works-without-pause', '2', '20');
    const news = new EventEmitter<{ counted: []; reported: [Report] }>();
    const isOver = new AbortController();
    const reportOn = `unclosed-report-${target.processId}`;
    const last = attachTo(target, {
      forMs: 2 * HANG_MS,
      signal: isOver.signal,
      reportOn,
      onCounts: () => news.emit('counted'),
      onReport: (report) => news.emit('reported', report),
    });
    const reports: Report[] = [];
    while (reports.length < 2) {
      await once(news, 'counted');
      setEvent(reportOn);
      reports.push(...((await once(news, 'reported')) as [Report]));
    }
    isOver.abort();
    const counts = [...reports, await last].map(
      ({ findings }) => findings.find(({ object }) => object.type === 'Event')?.count ?? 0,
    );
    expect(counts).toHaveLength(3);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });

  it.each([
    { where: 'the agent has the first place', isTaken: false },
    { where: 'something else has the first place', isTaken: true },
  ])('may be made again and again: $where', async ({ isTaken }) => {
    using target = await Target.start('works-without-pause', '4', '20');
    if (isTaken) target.reserve((ntdllBase() - FIRST_PLACE_BELOW_NTDLL) & -ALLOCATION_GRANULARITY, 0x10_0000n);
    const memory: number[] = [];
    for (let round = 0; round < 4; round++) {
      expect(findsLeakAlone(await attachTo(target, { forMs: 500, everyMs: 50 }))).toBe(true);
      memory.push(target.committedSizeBytes());
    }
    expect(memory.slice(1).every((size) => size <= memory[0]! + (1 << 20))).toBe(true);
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });

  it('finds the same under a debugger, which goes on, too', async () => {
    using target = await Target.start('debugs', fixturePath('works-without-pause'), '4', '20');
    expect(findsLeakAlone(await attachTo(target, { forMs: 1000, everyMs: 100 }))).toBe(true);
    expect(await target.stop()).toEqual({ exitCode: 0, output: expect.stringMatching(/^rounds [1-9]\d+\r?$/m) });
  });

  it('leaves no handle in the process', async () => {
    using target = await Target.start('misuses-on-request', 'clean');
    const values = (): readonly bigint[] => {
      const table = HandleTable.readSystem().ofProcess(target.processId);
      return Array.from({ length: table.count }, (_, index) => table.valueAt(index));
    };
    // The write of `ready` may be under way still, for which Wine has a handle.
    const before = new Set(values());
    await attachTo(target, { forMs: 300 });
    expect(values().filter((value) => !before.has(value))).toEqual([]);
  });

  it('is refused while another one is under way', async () => {
    using target = await Target.start('works-without-pause', '1');
    let second: Promise<unknown> | undefined;
    await attachTo(target, {
      onAttached: () => void (second = attachTo(target).catch((error: Error) => error.message)),
    });
    expect(await second).toBe(
      `Cannot attach to process ${target.processId} (works-without-pause.exe): another unclosed audits it. Try again when that audit is over.`,
    );
  });

  it('is refused for a process that run audits', async () => {
    const audited = audit({
      program: fixturePath('works-without-pause'),
      args: ['1', '0', '20'],
      targetStdout: 'stderr',
    });
    const isThere = ({ name, parentId }: ProcessInfo): boolean =>
      name === 'works-without-pause.exe' && parentId === process.pid;
    let target: ProcessInfo | undefined;
    while ((target = listProcesses().find(isThere)) === undefined || target.threadCount < 2) await sleep(20);
    await expect(attach({ processes: [target], forMs: 100 })).rejects.toThrow('another unclosed audits it');
    setEvent(`unclosed-stop-${target.processId}`);
    expect((await audited).target.exitCode).toBe(0);
  });

  it('is refused for a process that has the id of one that was listed', async () => {
    using target = await Target.start('works-without-pause', '1');
    const info = findProcess(String(target.processId));
    const before = { ...info, startTime: info.startTime - 1n };
    await expect(attach({ processes: [before], forMs: 100 })).rejects.toThrow(
      'it has ended, and another process has its id. Try the id of a process that runs.',
    );
  });

  it.each([
    [
      {},
      /Cannot attach to process 4 \(System\): it is the kernel, and to hold it up may stop the system\. Try --force/,
    ],
    [{ force: true }, /Cannot attach to process 4 \(System\): (it has ended|access is denied)/],
  ])('is refused for a process that Windows cannot run without, by %j', async (options, message) => {
    const kernel = { ...findProcess(String(process.pid)), processId: 4, name: 'System' };
    await expect(attach({ processes: [kernel], forMs: 100, ...options })).rejects.toThrow(message);
  });

  it('works after an auditor was killed in the midst of its audit', async () => {
    using target = await Target.start('works-without-pause', '4', '20');
    for (let round = 0; round < 3; round++) {
      const auditor = spawn(process.execPath, [toolPath, 'attach', String(target.processId)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      await once(auditor.stderr, 'data'); // it is attached
      await sleep(100);
      auditor.kill('SIGKILL');
      await once(auditor, 'exit');
    }
    expect(findsLeakAlone(await attachTo(target, { forMs: 500, everyMs: 50 }))).toBe(true);
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });
});

describe('an attach to a process that only pretends to exit', () => {
  const pretends = (state: number): string => `f L ${header.gateState.toString(16)} 8 ${state};e arrived`;

  it.each([
    ['calls the auditor without a reason', 'e arrived;d 10;e arrived'],
    ['says that it waits to be judged', pretends(GATE_WAITING)],
    ['says that it waits to end its other threads', pretends(GATE_ENDING_THREADS)],
  ])('ends with a report, and leaves no thread suspended: one that %s', async (_, steps) => {
    using target = await Target.start('scribbles-on-recorder', '2');
    const report = await attachTo(target, { onAttached: () => target.tell(steps) });
    expect(report.target.exitCode).toBeUndefined();
    target.tell('x 7');
    expect(await target.end()).toBe(7);
  });
});

describe('unclosed attach', () => {
  it('writes a table, and fails when a site grows', async () => {
    using target = await Target.start('works-without-pause', '2', '20');
    const run = await runTool(['attach', String(target.processId), '--for', '4s']);
    expect(run.stderr).toMatch(
      /^unclosed: attached to works-without-pause\.exe \(\d+\), which stood still for \d+ ms; /,
    );
    expect(run.stderr.replaceAll(/\s+/g, ' ')).toContain(
      'The site grew in each of the 8 intervals of 400 ms after the warm-up',
    );
    expect(run.stderr).toContain('works-without-pause.exe 2 20\n');
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
  });

  it.each([
    [['99999999'], /^unclosed: Cannot find process 99999999: no process with that id runs\./],
    [['no-such-program'], /^unclosed: Cannot find process "no-such-program": no process of that name runs\./],
    [['1', '--for', '1s', '--until-exit'], /cannot be used with option/],
  ])('refuses %j in one line', async (args, message) => {
    const run = await runTool(['attach', ...args]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(message);
  });
});
