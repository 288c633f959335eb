import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { Recording } from '../../../src/agent/inject/recording.ts';
import { audit } from '../../../src/audit/index.ts';
import { AuditSession } from '../../../src/audit/session.ts';
import { AbortEvent } from '../../../src/audit/wait.ts';
import type { Report } from '../../../src/model.ts';
import { StartedProcess } from '../../../src/process/spawn.ts';
import { StandardStreams } from '../../../src/process/streams/standard-streams.ts';
import type { StartedTarget } from '../../../src/process/target.ts';
import { fixturePath } from '../tool.ts';

/** Opens and closes handles on two threads for longer than any test lasts. */
const restless = { program: fixturePath('creates-and-closes'), args: ['2', '2000000000'] } as const;

async function start({ program, args }: { readonly program: string; readonly args: readonly string[] }) {
  using streams = new StandardStreams({ stdout: 'stderr' });
  const { stdin, stdout, stderr } = streams;
  return await StartedProcess.spawn({ program, args, stdin, stdout, stderr });
}

/** The target, of which `note` hears when its state is read for the first time, and when it is ended. */
function watch(target: StartedProcess, note: (moment: string) => void): StartedTarget {
  const { pid, origin, command, image } = target;
  return {
    pid,
    origin,
    command,
    image,
    asHandle: () => target.asHandle(),
    suspend: () => target.suspend(),
    stopThreads: (waiting, areOthersEnded) => target.stopThreads(waiting, areOthersEnded),
    resume: () => target.resume(),
    modules: () => {
      note('read');
      return target.modules();
    },
    terminate: () => {
      note('ended');
      target.terminate();
    },
    exitCode: () => target.exitCode(),
    [Symbol.dispose]: () => target[Symbol.dispose](),
  };
}

describe('an aborted audit', () => {
  test('reads a target that stands still until it is ended', async () => {
    using target = await start(restless);
    using recording = await Recording.prepare();
    const opens: Record<string, number> = {};
    const watched = watch(target, (moment) => {
      opens[moment] = recording.ledger.totals().opens;
    });
    using session = await AuditSession.begin(watched, recording, { passedOn: [] });
    const ending = new AbortController();
    using abort = new AbortEvent(ending.signal);
    watched.resume();
    const judging = session.judge(abort);
    while (recording.ledger.totals().opens < 1000) await sleep(1);
    ending.abort();
    const { gaps, isAborted, evidence } = await judging;
    expect(isAborted).toBe(true);
    expect(gaps.map(({ kind }) => kind)).toContain('interrupted');
    expect(opens['read']).toBeGreaterThanOrEqual(1000);
    expect(opens['ended']).toBe(opens['read']);
    // Each thread may hold one event that is about to be closed.
    expect(evidence.open.filter(({ object }) => object.type === 'Event').every(({ count }) => count <= 2)).toBe(true);
  });

  test('of a target that ends at the same moment is one of a target that has ended', async () => {
    using target = await start({ program: fixturePath('sleeps'), args: [] });
    using recording = await Recording.prepare();
    using session = await AuditSession.begin(target, recording, { passedOn: [] });
    using abort = new AbortEvent(AbortSignal.abort());
    target.resume();
    target.terminate();
    const { gaps, isAborted } = await session.judge(abort);
    expect([isAborted, gaps.map(({ kind }) => kind)]).toEqual([false, expect.arrayContaining(['handle-table-lost'])]);
  });
});

/** The part of a report that does not change from run to run. */
function essence({ findings, completeness, target, stats }: Report): object {
  return {
    findings: findings.map(({ rule, level, count, fingerprint, stacks }) => [rule, level, count, fingerprint, stacks]),
    completeness,
    exitCode: target.exitCode,
    iterations: stats.iterations,
  };
}

test('several audits at once report what each reports alone', async () => {
  const all = ['leaks-event', 'double-closes-event', 'leaks-file', 'leaks-event-clean'].map((name) => ({
    program: fixturePath(name),
    targetStdout: 'stderr' as const,
  }));
  const atOnce = await Promise.all(all.map(async (options) => essence(await audit(options))));
  const alone: object[] = [];
  for (const options of all) alone.push(essence(await audit(options)));
  expect(atOnce).toEqual(alone);
});

describe('a repeated audit', () => {
  test('says how many runs took place when it was interrupted, and that it was', async () => {
    const interruption = new AbortController();
    const auditing = audit({
      program: fixturePath('leaks-event'),
      targetStdout: 'stderr',
      repeat: 50,
      interruption: interruption.signal,
    });
    interruption.abort();
    const { runs, completeness } = await auditing;
    expect(runs).toHaveLength(1);
    expect(completeness).toMatchObject({
      complete: false,
      gaps: [{ kind: 'runs-missing', done: 1, wanted: 50 }, { kind: 'interrupted' }],
    });
  });

  test('is one report of all runs', async () => {
    const { runs, findings } = await audit({
      program: fixturePath('leaks-event'),
      targetStdout: 'stderr',
      repeat: 2,
    });
    expect(runs).toHaveLength(2);
    expect(findings.find(({ rule }) => rule === 'leak')!.runs).toHaveLength(2);
  });
});
