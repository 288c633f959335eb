import { copyFileSync, rmSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Holder } from '../handles/holder.ts';
import { Target } from '../handles/target.ts';
import { fixturePath, runTool } from '../tool.ts';
import { hex } from './listing.ts';

let holder: Holder;
let states: Target;
// Other tests run holds-states at the same time; a program that is named must run once.
const program = 'holds-states-once';
beforeAll(async () => {
  copyFileSync(fixturePath('holds-states'), fixturePath(program));
  [holder, states] = await Promise.all([Holder.start(), Target.start(program)]);
});
afterAll(async () => {
  holder?.[Symbol.dispose]();
  states?.[Symbol.dispose]();
  await states?.ended;
  rmSync(fixturePath(program), { force: true, maxRetries: 5, retryDelay: 200 });
});

interface Explained {
  readonly type: string;
  readonly references: { readonly handles: number };
  readonly details: Readonly<Record<string, unknown>>;
  readonly others: readonly { readonly pid: number; readonly handle: string; readonly access: string }[];
}

describe('unclosed explain', () => {
  it.each([
    ['signalled-event', 'Event', { signalled: true, reset: 'manual' }],
    ['automatic-event', 'Event', { signalled: false, reset: 'automatic' }],
    ['mutex-owned-twice', 'Mutant', { owned: true, recursion: 2, abandoned: false }],
    ['free-mutex', 'Mutant', { owned: false, recursion: 0 }],
    ['semaphore', 'Semaphore', { count: 3, maximum: 7 }],
    ['section', 'Section', { sizeBytes: 65536, backedBy: 'page file' }],
    ['timer', 'Timer', { signalled: false, remainingMs: expect.any(Number) }],
    ['port', 'IoCompletion', { queued: 2 }],
    [
      'file',
      'File',
      { directory: false, sizeBytes: 5000, positionBytes: 1234, mode: expect.stringContaining('synchronous') },
    ],
    ['token', 'Token', { kind: 'primary', user: expect.stringMatching(/^S-1-5-/) }],
  ])('tells the state of a %s', async (what, type, details) => {
    const { stdout, stderr, exitCode } = await runTool([
      'explain',
      String(states.processId),
      states.value(what),
      '--json',
    ]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ pid: states.processId, type, details });
  });

  it('tells which other handles mean the same object, and how many there are', async () => {
    const same = JSON.parse(
      (await runTool(['explain', String(states.processId), states.value('same-event'), '--json'])).stdout,
    ) as Explained;
    expect(same.references.handles).toBe(2);
    expect(same.others).toEqual([
      {
        pid: states.processId,
        process: `${program}.exe`,
        handle: states.value('signalled-event'),
        access: 'EVENT_ALL_ACCESS',
      },
    ]);
    const other = JSON.parse(
      (await runTool(['explain', `${program}.exe`, states.value('automatic-event'), '--json'])).stdout,
    ) as Explained;
    expect(other).toMatchObject({ references: { handles: 1 }, others: [] });
  });

  it('tells the exit code of a process that has ended, and a socket’s endpoints', async () => {
    const ended = holder.held.find(({ key }) => key === 'ended process')!;
    const process = await runTool(['explain', String(holder.processId), hex(ended.value)]);
    expect(process.stdout).toMatch(new RegExp(`node\\.exe \\(${ended.processId}\\), ended with 7`));
    const socket = holder.held.find(({ key }) => key === 'connected TCP')!;
    const shown = await runTool(['explain', String(holder.processId), String(socket.value)]);
    expect(shown.stdout).toContain(`TCP ${socket.socket!.local} -> ${socket.socket!.remote} connected`);
  });
});
