// An audit ends when it should, neither later nor earlier, whatever other processes do.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it, vi } from 'vitest';

import { attach, audit } from '../../../src/audit/index.ts';
import { findProcess, listProcesses, type ProcessInfo } from '../../../src/process/processes.ts';
import { HANG_MS } from '../../hang.ts';
import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixturePath } from '../tool.ts';

/** Marks a hundred times a second, as soon as there is a pipe of that name, until it is killed. */
const marksOn = `const { connect } = require("node:net");
  const begin = () => {
    const pipe = connect(process.argv[1]).on("error", () => setTimeout(begin, 20)).resume();
    pipe.on("connect", () => setInterval(() => pipe.write("\\n"), 10));
  };
  begin();`;

it('an attach ends although its process marks without end', async () => {
  const name = `unclosed-marks-on-${process.pid}`;
  const child = spawn(process.execPath, ['-e', marksOn, `\\\\.\\pipe\\${name}`], { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
    const report = await attach({ processes: [findProcess(String(child.pid))], mark: `pipe:${name}`, forMs: 1500 });
    expect(report.stats.iterations).toBeGreaterThan(10);
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill();
  }
});

it('an attach goes on with the other process when the first has ended before', async () => {
  using first = await Target.start('works-without-pause', '1');
  using second = await Target.start('works-without-pause', '100', '0', '300', '20');
  const attached: number[] = [];
  let isOver = false;
  const report = attach({
    processes: [first, second].map(({ processId }) => findProcess(String(processId))),
    onAttached: ({ processId }) => {
      attached.push(processId);
      if (processId === first.processId) first.kill();
    },
  }).finally(() => (isOver = true));
  await vi.waitFor(() => expect(attached).toHaveLength(2), { timeout: HANG_MS });
  await sleep(300); // the tree is looked at several times meanwhile
  expect(isOver).toBe(false);
  expect(await second.stop()).toMatchObject({ exitCode: 0 });
  const { processes } = await report;
  expect(processes?.map(({ exitCode }) => exitCode)).toEqual([1, 0]);
});

it('an audit that waits for children is ended by an abort when only these are left', async () => {
  const script = `const { spawn } = require("node:child_process");
    const child = spawn(process.argv[1], ["1"], { stdio: ["ignore", "pipe", "ignore"], detached: true });
    child.unref();
    child.stdout.once("data", () => process.exit(0));`;
  const abort = new AbortController();
  const own = (): readonly ProcessInfo[] => listProcesses().filter(({ parentId }) => parentId === process.pid);
  const before = own();
  const report = audit({
    program: process.execPath,
    args: ['-e', script, fixturePath('works-without-pause')],
    followChildren: true,
    waitChildren: true,
    signal: abort.signal,
  });
  const isNew = ({ processId }: ProcessInfo): boolean => !before.some((each) => each.processId === processId);
  const isProgram = (each: ProcessInfo): boolean => isNew(each) && each.name.toLowerCase() === 'node.exe';
  await vi.waitFor(() => expect(own().some(isProgram)).toBe(true), { timeout: HANG_MS });
  await vi.waitFor(() => expect(own().some(isProgram)).toBe(false), { timeout: HANG_MS });
  abort.abort();
  const { target, processes, completeness } = await report;
  const child = processes?.find(({ image }) => /works-without-pause\.exe$/.test(image));
  setEvent(`unclosed-stop-${child?.pid}`);
  expect(target.exitCode).toBe(0);
  const gap = { kind: 'process-left', image: child?.image, processes: [child?.pid], indexes: [1] };
  expect(completeness.gaps).toContainEqual(gap);
});
