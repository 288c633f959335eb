import { describe, expect, it } from 'vitest';

import { diffToJson, drawDiff } from '../../../src/cli/diff-view.ts';
import type { SnapshotDiff } from '../../../src/snapshot/diff.ts';
import type { SnapshotHandle } from '../../../src/snapshot/format.ts';
import { hostileText, randomNumbers } from '../report/hostile.ts';
import { diffFiles, type ProcessWithHandles, SnapshotFolder, snapshotText } from './files.ts';

const event: SnapshotHandle = { value: '4', type: 'Event', access: 0x1f0003 };
const file: SnapshotHandle = { value: '8', type: 'File', access: 0x120089, name: 'C:\\logs\\1.log' };
const socket: SnapshotHandle = {
  value: 'c',
  type: 'Socket',
  access: 0x1f01ff,
  socket: { protocol: 'TCP', state: 'unbound' },
};
const app = (handles: readonly SnapshotHandle[], more: Partial<ProcessWithHandles> = {}): ProcessWithHandles => ({
  pid: 1234,
  image: 'app.exe',
  started: 'T1',
  ...more,
  handles,
});

/** The counts of a difference, without examples. */
function summarise({ opened, closed, recycled, changed, growth, kinds }: SnapshotDiff): object {
  return {
    opened,
    closed,
    recycled,
    changed,
    growth,
    kinds: kinds.map((kind) => `${kind.type} ${kind.pattern} +${kind.opened} -${kind.closed}`),
  };
}

describe('a value in both snapshots', () => {
  const unchanged = { opened: 0, closed: 0, recycled: 0, changed: 0, growth: 0, kinds: [] };
  const changed = { ...unchanged, changed: 1 };
  const recycled = (...kinds: string[]): object => ({
    opened: 1,
    closed: 1,
    recycled: 1,
    changed: 0,
    growth: 0,
    kinds,
  });
  it.each([
    ['with the same object is not reported', event, event, unchanged],
    ['that is inheritable now is changed', event, { ...event, inheritable: true as const }, changed],
    [
      'whose process has ended is changed',
      { ...event, type: 'Process' },
      { ...event, type: 'Process', ended: true as const },
      changed,
    ],
    [
      'whose name was not to be had is changed',
      file,
      { ...event, value: '8', type: 'File', access: 0x120089, nameProblem: 'timed out' },
      changed,
    ],
    [
      'that could not be seen to be a socket is changed',
      { ...socket, type: 'File', socket: undefined, nameProblem: 'timed out' },
      socket,
      changed,
    ],
    [
      'of a socket that was bound is changed',
      socket,
      { ...socket, socket: { protocol: 'TCP', state: 'bound', local: '0.0.0.0:80' } },
      changed,
    ],
    ['of another type is recycled', event, { ...event, type: 'Mutant' }, recycled('Mutant  +1 -0', 'Event  +0 -1')],
    ['with another access is recycled', event, { ...event, access: 1 }, recycled('Event  +1 -1')],
    [
      'with another name is recycled',
      file,
      { ...file, name: 'C:\\logs\\2.log' },
      recycled('File C:\\logs\\<n>.log +1 -1'),
    ],
    [
      'without the name that it had is recycled',
      file,
      { value: '8', type: 'File', access: 0x120089 },
      recycled('File  +1 -0', 'File C:\\logs\\<n>.log +0 -1'),
    ],
    [
      'of a socket with another end is recycled',
      { ...socket, socket: { protocol: 'TCP', local: '1.1.1.1:80' } },
      { ...socket, socket: { protocol: 'TCP', local: '1.1.1.2:80' } },
      recycled('Socket TCP 1.1.1.2:80 +1 -0', 'Socket TCP 1.1.1.1:80 +0 -1'),
    ],
  ])('%s', (_, before, after, expected) => {
    using folder = new SnapshotFolder();
    const strip = (handle: object): SnapshotHandle => JSON.parse(JSON.stringify(handle)) as SnapshotHandle;
    expect(summarise(folder.diff([app([strip(before)])], [app([strip(after)])]))).toEqual(expected);
  });
});

describe('processes', () => {
  const before = app([event, file]);
  it.each([
    ['that ended: all that they had is closed', [before], [], { opened: 0, closed: 2, ended: 1, started: 0 }],
    ['that started: all that they have is opened', [], [before], { opened: 2, closed: 0, ended: 0, started: 1 }],
    [
      'with the same pid that started at another time are two',
      [before],
      [app([event, file], { started: 'T2' })],
      { opened: 2, closed: 2, ended: 1, started: 1 },
    ],
    [
      'with the same pid and another image are two',
      [before],
      [app([event, file], { image: 'b.exe' })],
      { opened: 2, closed: 2, ended: 1, started: 1 },
    ],
    [
      'of which the start is not known are one',
      [before],
      [{ pid: 1234, image: 'app.exe', handles: [event, file] }],
      { opened: 0, closed: 0, ended: 0, started: 0 },
    ],
    [
      'before, between and after each other are kept apart',
      [app([event], { pid: 1 }), app([event], { pid: 3 })],
      [app([event], { pid: 2 }), app([event], { pid: 3 }), app([event], { pid: 4 })],
      { opened: 2, closed: 1, ended: 1, started: 2 },
    ],
  ])('%s', (_, first, second, expected) => {
    using folder = new SnapshotFolder();
    const { opened, closed, endedProcesses, startedProcesses } = folder.diff(first, second);
    expect({ opened, closed, ended: endedProcesses.length, started: startedProcesses.length }).toEqual(expected);
  });
});

/** Snapshots of the same few processes, so that they have much in common. */
function randomSnapshot(random: (limit: number) => number): readonly ProcessWithHandles[] {
  const pids = [8, 1234, 70_000].filter(() => random(4) > 0);
  return pids.map((pid) => ({
    pid,
    image: 'app.exe',
    ...(random(3) > 0 ? { started: `T${random(2)}` } : {}),
    handles: Array.from({ length: 40 }, (_, index) => index)
      .filter(() => random(3) > 0)
      .map((index) => randomHandle((index * 4 + 4).toString(16), random)),
  }));
}

function randomHandle(value: string, random: (limit: number) => number): SnapshotHandle {
  const type = ['Event', 'File', 'Key'][random(3)]!;
  return {
    value,
    type,
    access: random(2),
    ...(random(2) === 0 ? { name: random(20) === 0 ? hostileText(random) : `name ${random(3)}` } : {}),
    ...(random(10) === 0 ? { inheritable: true as const } : {}),
    ...(random(20) === 0 ? { nameProblem: 'timed out' } : {}),
  };
}

describe('for any two snapshots', () => {
  const random = randomNumbers(4);
  const pairs = Array.from({ length: 60 }, () => [randomSnapshot(random), randomSnapshot(random)] as const);

  it('one does not differ from itself', () => {
    using folder = new SnapshotFolder();
    for (const [snapshot] of pairs) {
      const path = folder.write(snapshotText(snapshot));
      const diff = diffFiles(path, path);
      expect(summarise(diff)).toEqual({ opened: 0, closed: 0, recycled: 0, changed: 0, growth: 0, kinds: [] });
      expect([
        diff.types,
        diff.recycledValues,
        diff.changedExamples,
        diff.startedProcesses,
        diff.endedProcesses,
      ]).toEqual([[], [], [], [], []]);
      expect(diff.before).toEqual(diff.after);
    }
  });

  it('the way back opens what the way there closed', () => {
    using folder = new SnapshotFolder();
    for (const [before, after] of pairs) {
      const there = folder.diff(before, after, 1000);
      const back = folder.diff(after, before, 1000);
      expect([back.opened, back.closed, back.recycled, back.changed, back.growth]).toEqual([
        there.closed,
        there.opened,
        there.recycled,
        there.changed,
        0 - there.growth || 0,
      ]);
      expect(back.startedProcesses).toEqual(there.endedProcesses);
      const turned = there.kinds.map((kind) => ({
        ...kind,
        opened: kind.closed,
        closed: kind.opened,
        growth: 0 - kind.growth || 0,
        openedExamples: kind.closedExamples,
        closedExamples: kind.openedExamples,
      }));
      expect(sortKinds(back.kinds)).toEqual(sortKinds(turned));
      const turnedValues = there.recycledValues.map(({ from, to, count, examples }) => ({
        from: to,
        to: from,
        count,
        examples: examples.map((pair) => ({ before: pair.after, after: pair.before })),
      }));
      expect(new Set(back.recycledValues.map((each) => JSON.stringify(each)))).toEqual(
        new Set(turnedValues.map((each) => JSON.stringify(each))),
      );
    }
  });

  it('the sums are right: by a count that shares nothing with the diff', () => {
    using folder = new SnapshotFolder();
    for (const [before, after] of pairs) {
      const diff = folder.diff(before, after);
      const counts = (snapshot: readonly ProcessWithHandles[], type?: string): number =>
        snapshot.flatMap(({ handles }) => handles).filter((handle) => type === undefined || handle.type === type)
          .length;
      expect(diff.growth).toBe(counts(after) - counts(before));
      expect(diff.kinds.reduce((sum, { growth }) => sum + growth, 0)).toBe(diff.growth);
      for (const { type, before: first, after: last } of diff.types)
        expect([first, last]).toEqual([counts(before, type), counts(after, type)]);
      expect(diff.kinds.reduce((sum, { opened }) => sum + opened, 0)).toBe(diff.opened);
      expect(diff.recycledValues.reduce((sum, { count }) => sum + count, 0)).toBe(diff.recycled);
    }
  });

  it('the table shows nothing that a terminal would obey, and the JSON is JSON', () => {
    using folder = new SnapshotFolder();
    for (const [before, after] of pairs.slice(0, 20)) {
      const diff = folder.diff(before, after);
      const text = drawDiff(diff, { colorLevel: 0, columns: 80 }, true);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      expect(() => JSON.parse(JSON.stringify(diffToJson(diff)))).not.toThrow();
    }
  });
});

describe('the table', () => {
  it('shows types, kinds, recycled and changed values, processes and the verdict', () => {
    using folder = new SnapshotFolder();
    const before = [app([event, file, { ...event, value: '10' }])];
    const logs = Array.from({ length: 12 }, (_, index) => ({
      ...file,
      value: (0x100 + index * 4).toString(16),
      name: `C:\\logs\\${index + 2}.log`,
    }));
    const after = [
      app([{ ...event, inheritable: true }, { ...event, value: '8', type: 'Mutant', name: 'lock' }, ...logs]),
      { pid: 2000, image: 'new.exe', handles: [] },
    ];
    const text = drawDiff(folder.diff(before, after), { colorLevel: 0, columns: 100 }, false);
    expect(text.split('\n').slice(3)).toEqual([
      'TYPE    BEFORE  AFTER  GROWTH',
      'File         1     12     +11',
      'Mutant       0      1      +1',
      'Event        2      1      -1',
      '',
      'OPENED  CLOSED  GROWTH  TYPE AND NAME         FOR EXAMPLE',
      '    12       1     +11  File C:\\logs\\<n>.log  1234:0x100 1234:0x104 1234:0x108 …',
      '     1       0      +1  Mutant lock           1234:0x8',
      '     0       1      -1  Event without a name  1234:0x10',
      '',
      'Recycled: one value means another object than before',
      '  0x8: File C:\\logs\\1.log → Mutant lock',
      '',
      'Changed: one handle is of the same object, in another state',
      '  0x4 Event without a name: is inheritable now',
      '',
      'Only after: new.exe (2000)',
      '',
      '✗ 13 opened, 2 closed (1 of both on recycled values): +11 handles; 2 kinds have grown. To see where',
      'handles are opened: unclosed run.',
      '',
    ]);
  });
});

describe('a process that could not be opened for one of the snapshots', () => {
  const named = [event, file, socket, { ...event, value: '10', name: 'gate' }];
  const bare = named.map(({ name: _name, socket: _socket, ...rest }): SnapshotHandle => {
    return { ...rest, type: rest.type === 'Socket' ? 'File' : rest.type };
  });
  const closed = app(bare, { problem: 'Cannot open process 1234' });

  it.each([
    ['after', [app(named)], [closed]],
    ['before', [closed], [app(named)]],
  ] as const)('has the same handles, as far as that can be known: %s', (_, before, after) => {
    using folder = new SnapshotFolder();
    const diff = folder.diff(before, after);
    expect(summarise(diff)).toEqual({ opened: 0, closed: 0, recycled: 0, changed: 0, growth: 0, kinds: [] });
  });

  it('shows values of other types or access, and other attributes', () => {
    using folder = new SnapshotFolder();
    const [first, second, third, fourth] = bare as [SnapshotHandle, SnapshotHandle, SnapshotHandle, SnapshotHandle];
    const after = [
      { ...first, access: 1 },
      { ...second, type: 'Key' },
      { ...third, inheritable: true as const },
      fourth,
    ];
    expect(folder.diff([app(named)], [{ ...closed, handles: after }])).toMatchObject({ recycled: 2, changed: 1 });
  });
});

describe('the state of a socket', () => {
  const draw = (before: SnapshotHandle, after: SnapshotHandle): string => {
    using folder = new SnapshotFolder();
    return drawDiff(folder.diff([app([before])], [app([after])]), { colorLevel: 0, columns: 100 }, false);
  };
  const inState = (state: string): SnapshotHandle => ({
    ...socket,
    socket: { protocol: 'TCP', state } as NonNullable<SnapshotHandle['socket']>,
  });

  it('is shown before and after', () => {
    expect(draw(socket, inState('bound'))).toContain('  0xc Socket TCP: was unbound, is bound\n');
  });

  it('is shown after alone when the name was not known before', () => {
    const { socket: _socket, ...rest } = socket;
    const text = draw({ ...rest, type: 'File', nameProblem: 'timed out' }, socket);
    expect(text).toContain('  0xc Socket TCP: is unbound, name: timed out, now known\n');
  });

  it('obeys no terminal, whoever wrote the file', () => {
    expect(draw(socket, inState('\u001b[2J\nbound'))).toContain('was unbound, is \\x1b[2J\\nbound\n');
  });
});

function sortKinds<T extends { readonly type: string; readonly pattern: string }>(kinds: readonly T[]): readonly T[] {
  return kinds.toSorted((a, b) => (`${a.type}\0${a.pattern}` < `${b.type}\0${b.pattern}` ? -1 : 1));
}
