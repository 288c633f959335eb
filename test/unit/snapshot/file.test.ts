import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import type { SnapshotHandle } from '../../../src/snapshot/format.ts';
import { compareValues, spellValue } from '../../../src/snapshot/format.ts';
import { SnapshotReader } from '../../../src/snapshot/read.ts';
import { writeSnapshotFile } from '../../../src/snapshot/write.ts';
import { hostileText, randomNumbers } from '../report/hostile.ts';
import { type ProcessWithHandles, readAll, SnapshotFolder, snapshotText } from './files.ts';

const event: SnapshotHandle = { value: '4', type: 'Event', access: 0x1f0003 };
const app: ProcessWithHandles = {
  pid: 1234,
  image: 'app.exe',
  started: '2026-01-01T00:00:00.0000000Z',
  handles: [event, { ...event, value: '8' }],
};
const whole: readonly ProcessWithHandles[] = [
  app,
  { pid: 5678, image: 'other.exe', handles: [] },
  { pid: 9000, image: 'last.exe', problem: 'denied', handles: [event] },
];

function hostileProcesses(seed: number): readonly ProcessWithHandles[] {
  const random = randomNumbers(seed);
  return Array.from({ length: random(4) }, (_, at) => ({
    pid: 100 + at,
    image: hostileText(random),
    handles: Array.from({ length: random(6) }, (_, index) => ({
      value: (4 + index * 4).toString(16),
      type: ['Event', 'File', 'Socket', 'Key'][random(4)]!,
      access: random(2 ** 31) * 2,
      ...(random(2) === 0 ? { name: hostileText(random) } : {}),
      ...(random(4) === 0 ? { nameProblem: hostileText(random) } : {}),
      ...(random(4) === 0 ? { socket: { local: hostileText(random), state: 'bound' as const } } : {}),
      ...(random(4) === 0 ? { inheritable: true as const } : {}),
      ...(random(4) === 0 ? { protectFromClose: true as const } : {}),
      ...(random(4) === 0 ? { ended: true as const } : {}),
    })),
  }));
}

describe('a snapshot file', () => {
  it.each([
    ['of nothing', []],
    ['of a process without handles', [{ pid: 1, image: 'a.exe', handles: [] }]],
    ['of several processes', whole],
  ])('%s is JSON and reads as it was written', (_, processes) => {
    using folder = new SnapshotFolder();
    const text = snapshotText(processes);
    expect(JSON.parse(text)).toMatchObject({ kind: 'unclosed snapshot', schemaVersion: 1, host: 'HOST' });
    expect(readAll(folder.write(text))).toEqual(processes);
  });

  it('has one line for each handle, and lines for the processes around them', () => {
    expect(snapshotText([app]).split('\n')).toEqual([
      '{"kind":"unclosed snapshot","schemaVersion":1,"tool":"unclosed test","host":"HOST","taken":"2026-01-01T00:00:00.000Z","processes":[',
      '{"pid":1234,"image":"app.exe","started":"2026-01-01T00:00:00.0000000Z","handles":[',
      '{"value":"0x4","type":"Event","access":"0x1f0003"},',
      '{"value":"0x8","type":"Event","access":"0x1f0003"}',
      ']}',
      '],"handleCount":2,"namesMissing":0}',
      '',
    ]);
  });

  it('keeps every name, and shows nothing that a terminal would obey', () => {
    using folder = new SnapshotFolder();
    for (let seed = 0; seed < 100; seed++) {
      const processes = hostileProcesses(seed);
      const text = snapshotText(processes);
      expect(text.replaceAll('\n', ''), `seed ${seed}`).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      expect(readAll(folder.write(text)), `seed ${seed}`).toEqual(processes);
    }
  });

  it('reads the same with the line ends of Windows, with a byte order mark and without its last line end', () => {
    using folder = new SnapshotFolder();
    const text = snapshotText(whole);
    for (const variant of [text.replaceAll('\n', '\r\n'), `\ufeff${text}`, text.trimEnd()]) {
      expect(readAll(folder.write(variant))).toEqual(whole);
    }
  });

  it('reads the same wherever its chunks are cut', () => {
    using folder = new SnapshotFolder();
    // Longer than a chunk of the reader, in lines of odd lengths, with letters of two and three bytes.
    const handles = Array.from({ length: 60_000 }, (_, index) => ({
      ...event,
      value: (4 + index * 4).toString(16),
      name: `ü日${'x'.repeat(index % 97)}`,
    }));
    expect(readAll(folder.write(snapshotText([{ ...app, handles }])))).toEqual([{ ...app, handles }]);
  });
});

describe('a file that is no whole snapshot is refused with one line', () => {
  const text = snapshotText(whole);
  it.each([
    ['an empty file', '', 'it is damaged at line 0: it is empty'],
    ['another file', 'hello\n', 'it is not a snapshot'],
    ['other JSON', '{"schemaVersion":1,"findings":[]}\n', 'it is not a snapshot'],
    ['binary data', Buffer.from([0, 1, 2, 3, 0x0a, 0xff]), 'it is not a snapshot'],
    [
      'UTF-16, as a shell may make it',
      Buffer.from(`\ufeff${text}`, 'utf16le'),
      'it is UTF-16, which a shell made of it',
    ],
    ['a newer version', text.replace('"schemaVersion":1', '"schemaVersion":2'), 'its schemaVersion is 2, and unclosed'],
    [
      'a newer version of another layout',
      '{ "schemaVersion": 12, "kind": "unclosed snapshot" }',
      'its schemaVersion is 12, and unclosed',
    ],
    ['a version that was never', text.replace('"schemaVersion":1', '"schemaVersion":0'), 'it is damaged at line 1'],
    ['a lost last line', text.split('\n').slice(0, -2).join('\n'), 'it ends too early'],
    ['a cut line', text.slice(0, 400), 'it is damaged at line'],
    [
      'a lost handle',
      text.replace('{"value":"0x4","type":"Event","access":"0x1f0003"},\n', ''),
      'it has 2 handles and says that it has 3',
    ],
    ['a wrong sum', text.replace('"handleCount":3', '"handleCount":4'), 'it has 3 handles and says that it has 4'],
    ['a swapped pair', text.replace('"0x4"', '"0x10"'), 'its handles are out of order'],
    ['a repeated process', text.replace('"pid":5678', '"pid":1234'), 'its processes are out of order'],
    ['a broken number', text.replace('"access":"0x1f0003"', '"access":"0xqq"'), 'it is damaged at line 3'],
    [
      'broken UTF-8',
      Buffer.from(snapshotText([{ ...app, handles: [{ ...event, name: 'ü' }] }]), 'utf8').fill(0xc3, 260, 262),
      'it is damaged at line',
    ],
    ['something after the end', `${text}{}\n`, 'something follows its end'],
    ['a missing comma', text.replace('},\n{"value":"0x8"', '}\n{"value":"0x8"'), 'it is damaged at line 4'],
  ])('%s', (_, content, why) => {
    using folder = new SnapshotFolder();
    const file = folder.write(content);
    const error = catchError(() => readAll(file));
    expect(error.name).toBe('SnapshotError');
    expect(error.message).toContain(`Cannot read snapshot "${file}": it`);
    expect(error.message).toContain(why);
    expect(error.message).toMatch(/^[^\n]+\. Try [^\n]+\.$/);
  });

  it('when any one byte of it is missing: an error or another content, never a crash', () => {
    using folder = new SnapshotFolder();
    const read = (file: string): object => {
      using reader = new SnapshotReader(file);
      return { header: reader.header, processes: readAll(file) };
    };
    const content = read(folder.write(text));
    for (let at = 0; at < text.length - 1; at += 2) {
      const file = folder.write(text.slice(0, at) + text.slice(at + 1));
      const found = catchOrReturn(() => read(file));
      if (found instanceof Error) expect(found.name, `without byte ${at}: ${found.stack}`).toBe('SnapshotError');
      else expect(found, `without byte ${at}`).not.toEqual(content);
    }
  });

  it('when it is cut anywhere', () => {
    using folder = new SnapshotFolder();
    for (let length = 0; length < text.length - 1; length += 3) {
      expect(catchError(() => readAll(folder.write(text.slice(0, length)))).name, `${length} bytes`).toBe(
        'SnapshotError',
      );
    }
  });

  it('when there is none', () => {
    expect(() => new SnapshotReader('no such file.json')).toThrow(
      'Cannot read snapshot "no such file.json": there is no such file. Try unclosed snapshot -o to make one.',
    );
  });
});

describe('values', () => {
  it.each([
    [4n, '4'],
    [0x1a4n, '1a4'],
    [-2147483644n, 'ffffffff80000004'],
  ])('%d is spelled %s', (value, spelled) => {
    expect(spellValue(value)).toBe(spelled);
  });

  it('are ordered as the unsigned numbers that they are', () => {
    const random = randomNumbers(5);
    const some = Array.from({ length: 500 }, () => BigInt(random(2 ** 31)) ** BigInt(1 + random(2)));
    for (const a of some) {
      const b = some[random(some.length)]!;
      expect(Math.sign(compareValues(spellValue(a), spellValue(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
    }
  });
});

describe('writing a snapshot', () => {
  async function* pieces(count: number, failAt: number = Number.POSITIVE_INFINITY): AsyncGenerator<string> {
    for (let index = 0; index < count; index++) {
      if (index === failAt) throw new Error('the target is gone');
      yield `${String(index).padStart(99)}\n`;
    }
  }

  it('makes the whole file', async () => {
    using folder = new SnapshotFolder();
    const file = join(folder.path, 'new.json');
    await writeSnapshotFile('new.json', file, pieces(30_000));
    expect(readFileSync(file, 'utf8')).toHaveLength(3_000_000);
    expect(readdirSync(folder.path)).toEqual(['new.json']);
  });

  it.each([
    ['late', 29_999],
    ['early', 0],
  ])('leaves the old file and nothing else when taking it fails %s', async (_, failAt) => {
    using folder = new SnapshotFolder();
    const file = folder.write('old');
    await expect(writeSnapshotFile('old', file, pieces(30_000, failAt))).rejects.toThrow('the target is gone');
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toHaveLength(1);
  });

  it('refuses a directory and a path without one, and leaves nothing behind', async () => {
    using folder = new SnapshotFolder();
    mkdirSync(join(folder.path, 'directory'));
    for (const name of ['directory', join('nowhere', 'new.json')]) {
      const error = await writeSnapshotFile(name, join(folder.path, name), pieces(3)).then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error?.message).toMatch(/^Cannot write snapshot "[^"]+": [^\n]+\. Try another file\.$/);
      expect(readdirSync(folder.path)).toEqual(['directory']);
    }
  });

  // A device that is always full is there under Linux only; existsSync does not see devices under Wine.
  it.runIf(statSync('Z:\\dev\\full', { throwIfNoEntry: false }) !== undefined)(
    'does not put a file in the place of a device',
    async () => {
      await expect(writeSnapshotFile('/dev/full', 'Z:\\dev\\full', pieces(3))).rejects.toThrow(
        'Cannot write snapshot "/dev/full": the disk is full (ENOSPC). Try another file.',
      );
      writeFileSync('Z:\\dev\\null', '');
    },
  );
});

function catchError(act: () => unknown): Error {
  const result = catchOrReturn(act);
  if (result instanceof Error) return result;
  throw new Error('nothing was thrown');
}

function catchOrReturn(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
