import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

import { Recording } from '../../../src/agent/inject/recording.ts';
import { LiveStacks } from '../../../src/evidence/live-stacks.ts';
import { listThreadIds } from '../../../src/process/process-table.ts';
import { StartedProcess } from '../../../src/process/spawn.ts';
import { StandardStreams } from '../../../src/process/streams/standard-streams.ts';
import { StoppedThreads } from '../../../src/process/thread-stacks.ts';
import { fixturePath } from '../tool.ts';

/** A target that opens and closes events on two threads for longer than any test lasts. */
async function startRestless(): Promise<StartedProcess> {
  using streams = new StandardStreams({ stdout: 'stderr' });
  const { stdin, stdout, stderr } = streams;
  const program = fixturePath('creates-and-closes');
  return await StartedProcess.spawn({ program, args: ['2', '2000000000'], stdin, stdout, stderr });
}

async function runUntil(recording: Recording, opens: number): Promise<void> {
  while (recording.ledger.totals().opens < opens) await sleep(1);
}

/** A thread that opens events again and again; the first thread, which opens one, has started it. */
async function findWorker({ ledger }: Recording): Promise<number> {
  for (;;) {
    const openings = Array.from(ledger.openValues(), (value) => ledger.life(value)?.opened);
    const first = openings.find((opening) => opening?.call === 'NtCreateThreadEx')?.threadId;
    const worker = openings.find((opening) => opening?.call === 'NtCreateEvent' && opening.threadId !== first);
    if (first !== undefined && worker !== undefined) return worker.threadId;
    await sleep(1);
  }
}

test('stopped threads stand still, have the stacks by which they opened handles, and go on afterwards', async () => {
  using target = await startRestless();
  using recording = await Recording.prepare();
  const { ledger } = recording;
  recording.install(target);
  target.resume();
  try {
    await runUntil(recording, 1000);
    for (let round = 0; round < 5; round++) {
      const { opens } = ((): { readonly opens: number } => {
        using stopped = target.stopThreads(undefined, false);
        const before = ledger.totals();
        const stacks = stopped.readStacks();
        // The first thread waits for the two at work.
        expect(stacks.length).toBeGreaterThanOrEqual(3);
        const live = new LiveStacks(stacks);
        const openings = [
          ...ledger.openingsOfClosed(new Set(live.threadIds)),
          ...Array.from(ledger.openValues(), (value) => ledger.life(value)!.opened!),
        ].filter(({ call }) => call === 'NtCreateEvent');
        expect(openings.length).toBeGreaterThan(1);
        for (const { threadId, stackId } of openings) {
          const addresses = ledger.stack(stackId);
          // A thread stays inside its outermost functions, wherever it was stopped.
          expect(live.firstLive(threadId, addresses.slice(-2))).toBe(0);
        }
        expect(ledger.totals()).toEqual(before);
        return before;
      })();
      await runUntil(recording, opens + 100);
    }
  } finally {
    target.terminate();
  }
});

test('a thread of another process is left alone, though its id is listed', async () => {
  using target = await startRestless();
  using other = await startRestless();
  expect(listThreadIds(other.pid)).toHaveLength(1);
  using stopped = StoppedThreads.stop(target, other.pid, undefined, false);
  expect(stopped.count).toBe(0);
});

test('a thread that waits by itself is read, and not suspended', async () => {
  using target = await startRestless();
  using recording = await Recording.prepare();
  recording.install(target);
  target.resume();
  try {
    await runUntil(recording, 1000);
    const waiting = { threadId: await findWorker(recording), stackPointer: 1n };
    using stopped = target.stopThreads(waiting, false);
    // A stack pointer that leads nowhere yields no stack.
    expect(
      stopped.readStacks().every(({ threadId, halves }) => threadId !== waiting.threadId || halves.length === 0),
    ).toBe(true);
    await runUntil(recording, recording.ledger.totals().opens + 100);
  } finally {
    target.terminate();
  }
});
