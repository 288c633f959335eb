import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { AuditorEvents } from '../../../src/agent/inject/auditor-events.ts';
import { ntdllAddress } from '../../../src/agent/inject/locate/locate-hooks.ts';
import { findIn } from '../../../src/audit/findings.ts';
import { ProcessChoice } from '../../../src/audit/tree/process-choice.ts';
import type { TreeReport } from '../../../src/audit/tree/process-report.ts';
import { ProcessTree } from '../../../src/audit/tree/process-tree.ts';
import { waitForOne } from '../../../src/audit/wait.ts';
import { PROCESS_VM_READ, SYNCHRONIZE } from '../../../src/ffi/constants.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';
import { MarkListener } from '../../../src/marks/mark-listener.ts';
import { readMemory } from '../../../src/process/memory.ts';
import { findProcess, openProcess } from '../../../src/process/processes.ts';
import { HANG_MS } from '../../hang.ts';
import { setEvent } from '../set-event.ts';
import { Target } from '../target.ts';
import { fixturePath } from '../tool.ts';

/** A tree of one process that runs. Something happens to it in its last report, between the last look and the copy. */
class WatchedTree implements AsyncDisposable {
  readonly events = new AuditorEvents({ followsChildren: true });
  readonly tree: ProcessTree;

  private constructor(onJudged?: () => void) {
    this.tree = new ProcessTree(this.events, {
      recording: undefined,
      names: {},
      choice: new ProcessChoice(undefined),
      judge: (evidence) => {
        onJudged?.();
        return findIn(evidence, {}, []);
      },
    });
    this.tree.start();
  }

  static async of(
    processId: number,
    happens: (events: AuditorEvents) => Promise<void>,
    onJudged?: () => void,
  ): Promise<WatchedTree> {
    const watched = new WatchedTree(onJudged);
    const marks = MarkListener.every(HANG_MS, 0);
    let hasHappened = false;
    marks.finish = async () => {
      if (!hasHappened) {
        hasHappened = true;
        await happens(watched.events);
      }
    };
    await watched.tree.attach(findProcess(String(processId)), marks);
    return watched;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tree[Symbol.asyncDispose]();
    this.events[Symbol.dispose]();
  }
}

async function kill(target: Target): Promise<void> {
  using ended = openProcess(target.processId, SYNCHRONIZE);
  target.kill();
  await waitForOne([ended]);
}

/** Whether a system call of a process has another beginning than here. */
function isHooked({ processId }: Target): boolean {
  using process = openProcess(processId, PROCESS_VM_READ);
  const [there, here] = [process, BorrowedHandle.borrowRaw(CURRENT_PROCESS)].map((each) =>
    readMemory(each, ntdllAddress('NtCreateEvent'), 32).toString('hex'),
  );
  return there !== here;
}

/** The exit code, and `warning leak` of each finding. */
function summarise({ reports }: TreeReport): readonly { exitCode: number | undefined; found: readonly string[] }[] {
  return reports.map(({ exitCode, found }) => ({
    exitCode,
    found: found.findings.map(({ level, rule }) => `${level} ${rule}`),
  }));
}

describe('the last report on a process that is not looked at any more', () => {
  it('is of its end, if it is killed', async () => {
    using target = await Target.start('misuses-on-request', 'clean');
    await using watched = await WatchedTree.of(target.processId, async () => await kill(target));
    const report = await watched.tree.finish();
    expect(summarise(report)).toEqual([{ exitCode: 1, found: [] }]);
    expect(report.reports[0]?.gaps).toContainEqual({ kind: 'handle-table-lost', why: 'ended-from-outside' });
    expect(report).toMatchObject({ gaps: [], failures: [] });
  });

  it('is of its end, if it is killed while it is judged', async () => {
    using target = await Target.start('misuses-on-request', 'clean');
    await using watched = await WatchedTree.of(
      target.processId,
      async () => {},
      () => target.kill(),
    );
    expect(summarise(await watched.tree.finish())).toEqual([{ exitCode: 1, found: [] }]);
  });

  it('judges what it leaves open, if it comes to its exit', async () => {
    using target = await Target.start('misuses-on-request');
    await using watched = await WatchedTree.of(target.processId, async ({ arrived }) => {
      setEvent(`unclosed-go-${target.processId}`);
      await target.hear('done');
      setEvent(`unclosed-go-${target.processId}`);
      await waitForOne([arrived]);
    });
    const [{ exitCode, found } = {}] = summarise(await watched.tree.finish());
    expect(found).toContain('warning leak');
    expect(exitCode).toBe(5);
  });

  it('is of its end, if it is about to end its other threads', async () => {
    using target = await Target.start('scribbles-on-recorder', '2');
    await using watched = await WatchedTree.of(target.processId, async ({ arrived }) => {
      target.tell('x 7');
      await waitForOne([arrived]);
    });
    const report = await watched.tree.finish();
    expect(summarise(report)).toMatchObject([{ exitCode: 7 }]);
    expect(report.reports[0]?.gaps.map(({ kind }) => kind)).not.toContain('handle-table-lost');
  });

  it('names a child that is started meanwhile, and lets it run', async () => {
    const script = `const { spawn } = require("node:child_process");
      process.stdin.once("data", () => spawn(process.argv[1]).on("exit", (code) => console.log("child", code)));
      console.log("ready");`;
    const parent = spawn(process.execPath, ['-e', script, fixturePath('leaks-event')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(parent.stdout, 'data');
      {
        await using watched = await WatchedTree.of(parent.pid!, async ({ child }) => {
          parent.stdin.write('\n');
          await waitForOne([child!]);
        });
        const { gaps, reports } = await watched.tree.finish();
        expect(gaps).toEqual([
          {
            kind: 'process-unrecorded',
            image: fixturePath('leaks-event'),
            why: 'it was started when the recording was over',
            processes: [expect.any(Number) as number],
          },
        ]);
        expect(reports).toHaveLength(1);
      }
      const [said] = (await once(parent.stdout, 'data')) as [Buffer];
      expect(String(said)).toBe('child 0\n');
    } finally {
      parent.kill();
    }
  });
});

describe('a tree that cannot be followed', () => {
  it('says why, and takes the hooks out of its processes', async () => {
    using target = await Target.start('works-without-pause', '2', '20');
    {
      await using watched = await WatchedTree.of(target.processId, async () => {});
      expect(isHooked(target)).toBe(true);
      watched.events[Symbol.dispose]();
      await waitForOne([watched.tree.settled]);
      await expect(watched.tree.finish()).rejects.toThrow(/its owner was closed/);
    }
    expect(isHooked(target)).toBe(false);
    expect(await target.stop()).toMatchObject({ exitCode: 0 });
  });
});
