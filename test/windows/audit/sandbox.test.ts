// Targets that cannot open the exit gate by name: their token has the group of everyone for refusals only. It is no app
// container, which Wine does not have, but the refusal is the kernel's own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { AuditorEvents } from '../../../src/agent/inject/auditor-events.ts';
import { opensByName } from '../../../src/agent/inject/gate/opens-by-name.ts';
import { attach, type AttachOptions, audit } from '../../../src/audit/index.ts';
import { PROCESS_QUERY_INFORMATION } from '../../../src/ffi/constants.ts';
import { HandleTable } from '../../../src/handles/enumerate.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';
import type { Report } from '../../../src/model.ts';
import { findProcess, openProcess } from '../../../src/process/processes.ts';
import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixturePath, toolPath } from '../tool.ts';

const LENT_COUNT = 4;
/** A handle value is a multiple of four. */
const LENT_DISTANCE = BigInt(LENT_COUNT * 4);

async function auditIn(launcher: string, program: string, ...args: readonly string[]): Promise<Report> {
  return await audit({ program: fixturePath(launcher), args: [fixturePath(program), ...args], followChildren: true });
}

async function startInSandbox(program: string, ...args: readonly string[]): Promise<Target> {
  return await Target.start('launches-in-sandbox', fixturePath(program), ...args);
}

async function attachTo({ processId }: Target, options: Omit<AttachOptions, 'processes'>): Promise<Report> {
  return await attach({ processes: [findProcess(String(processId))], ...options });
}

async function killAuditorOf({ processId }: Target): Promise<void> {
  const auditor = spawn(process.execPath, [toolPath, 'attach', String(processId)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await once(auditor.stderr, 'data'); // it is attached
  auditor.kill('SIGKILL');
  await once(auditor, 'exit');
}

/** The accusations of a report; each handle's value is moved by a distance. */
function accusations({ findings }: Report, distance = 0n): readonly object[] {
  return findings
    .filter(({ level }) => level !== 'note')
    .map(({ rule, level, count, fingerprint, handles }) => {
      return { rule, level, count, fingerprint, handles: handles.map((value) => value + distance) };
    });
}

function handleCount({ processId }: Target): number {
  using process = openProcess(processId, PROCESS_QUERY_INFORMATION);
  return HandleTable.readProcess(process, processId).count;
}

describe('a program in a sandbox that refuses the exit gate', () => {
  it.each([
    ['exits-beside-main', 1],
    ['exits-beside-main-clean', 0],
  ])(
    'is judged as outside, and its handles have higher values by those that it was lent: %s',
    async (program, count) => {
      const inside = await auditIn('launches-in-sandbox', program);
      const outside = await auditIn('launches', program);
      expect(inside.completeness).toEqual({ complete: true, gaps: [] });
      expect(accusations(inside)).toEqual(accusations(outside, LENT_DISTANCE));
      expect(accusations(inside)).toHaveLength(count);
      expect(inside.target.exitCode).toBe(outside.target.exitCode);
      expect(inside.stats.openHandles).toBe(outside.stats.openHandles);
    },
  );

  it('has its children followed', async () => {
    const report = await auditIn('launches-in-sandbox', 'starts-children', '1', '1', '2');
    expect(report.processes).toHaveLength(3);
    expect(report.completeness).toEqual({ complete: true, gaps: [] });
    expect(accusations(report)).toMatchObject([{ rule: 'leak', count: 2 }]);
  });

  it.each([
    ['keeps', []],
    ['closes', ['handle-table-lost', 'children-unfollowed']],
  ])('may close what it was lent, and only the audit misses something then: it %s them', async (how, missing) => {
    const report = await auditIn('launches-in-sandbox', 'closes-lent-handles', how);
    expect(report.target.exitCode).toBe(LENT_COUNT);
    // It looks at values that mean nothing.
    expect(report.findings.filter(({ level, rule }) => level !== 'note' && rule !== 'use-after-close')).toEqual([]);
    expect(report.completeness.gaps.map(({ kind }) => kind)).toEqual(missing);
  });

  it('is attached to and left again and again, and has no handle more', async () => {
    using target = await startInSandbox('misuses-on-request', 'clean');
    const before = handleCount(target);
    for (let round = 0; round < 2; round++) {
      const during: number[] = [];
      await attachTo(target, { forMs: 200, everyMs: 100, onAttached: () => during.push(handleCount(target)) });
      expect(during).toEqual([before + LENT_COUNT - 1]); // no children are followed
      expect(handleCount(target)).toBe(before);
    }
  });

  it('is judged by what it leaves open when it ends during an attach', async () => {
    using target = await startInSandbox('misuses-on-request');
    const go = () => setEvent(`unclosed-go-${target.processId}`);
    const ending = attachTo(target, { forMs: 60_000, everyMs: 1000, onAttached: go });
    await target.hear('done');
    go();
    const report = await ending;
    expect(report.target.exitCode).toBe(5);
    expect(report.completeness.gaps.map(({ kind }) => kind)).not.toContain('handle-table-lost');
    expect(report.findings.filter(({ level }) => level === 'warning')).toMatchObject([{ rule: 'leak', count: 1 }]);
  });

  it('does not wait for an auditor that was killed, and can be attached to again', async () => {
    using target = await startInSandbox('works-without-pause', '2', '0', '60', '5');
    await killAuditorOf(target);
    expect(accusations(await attachTo(target, { forMs: 200, everyMs: 100 }))).toEqual([]);
    await killAuditorOf(target);
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });
});

describe('opensByName', () => {
  it('asks the kernel with the rights of the process, and takes its own back', async () => {
    using events = new AuditorEvents({ followsChildren: false });
    using inside = await startInSandbox('holds-handles', '1');
    using outside = await Target.start('holds-handles', '1');
    const opens = ({ processId }: Target, path: string): boolean => {
      using process = openProcess(processId, PROCESS_QUERY_INFORMATION);
      return opensByName(process, path);
    };
    expect(opens(inside, events.arrivedName)).toBe(false);
    expect(opens(outside, events.arrivedName)).toBe(true);
    expect(opens(outside, `${events.arrivedName}-not`)).toBe(false);
    const own = { asHandle: () => BorrowedHandle.borrowRaw(CURRENT_PROCESS) };
    expect(opensByName(own, events.arrivedName)).toBe(true);
  });
});
