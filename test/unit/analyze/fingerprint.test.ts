import { describe, expect, it } from 'vitest';
import { fingerprint } from '../../../src/analyze/fingerprint.ts';
import { analyze } from '../../../src/analyze/index.ts';
import type { Frame } from '../../../src/model.ts';
import type { CallRecord } from '../../../src/evidence-model.ts';
import { called, mainBottom, openSite } from './evidence.ts';

const opened = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW+0x35',
  'app!open_gate+0x20 @Z:\\src\\gate.c:14',
  'plugin!render+0x99 @Z:\\src\\plugin.c:88',
  ...mainBottom,
);

function fingerprintOf(record: CallRecord, type = 'Event'): string {
  return analyze({ open: [openSite({ opened: record, object: { type } })], misuses: [] })[0]!.fingerprint;
}

function changed(change: (frame: Frame, random: () => number) => Frame, seed: number): CallRecord {
  let state = seed;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return { ...opened, stack: opened.stack.map((frame) => change(frame, random)) };
}

describe('a fingerprint', () => {
  it('is FNV-1a over the parts and their lengths', () => {
    // The published value of the empty input: http://www.isthe.com/chongo/src/fnv/test_fnv.c
    expect(fingerprint([])).toBe('cbf29ce484222325');
    expect(fingerprint(['ab', 'c'])).not.toBe(fingerprint(['a', 'bc']));
    expect(fingerprint(['a'])).not.toBe(fingerprint(['a', '']));
  });

  it('may never change for the same site: users keep it in baselines', () => {
    expect(fingerprintOf(opened)).toBe('c259edba832cd8f6');
  });

  it.each<[string, (frame: Frame, random: () => number) => Frame]>([
    ['offsets', (frame, random) => ({ ...frame, offset: Math.floor(random() * 0x8000) })],
    [
      'lines',
      (frame, random) => (frame.line === undefined ? frame : { ...frame, line: 1 + Math.floor(random() * 9999) }),
    ],
    [
      'directories',
      (frame, random) => (frame.file === undefined ? frame : { ...frame, file: `/build/${random()}/${frame.file}` }),
    ],
    [
      'the letter case of modules',
      (frame, random) => ({ ...frame, module: random() < 0.5 ? frame.module.toUpperCase() : frame.module }),
    ],
    ['the directories of modules', (frame, random) => ({ ...frame, module: `C:\\${random()}\\${frame.module}` })],
  ])('does not depend on %s', (_what, change) => {
    for (let seed = 1; seed <= 200; seed += 1) expect(fingerprintOf(changed(change, seed))).toBe(fingerprintOf(opened));
  });

  it('does not depend on thread, time, values or counts', () => {
    const other = { ...opened, threadId: 9, timeMs: 1 };
    expect(analyze({ open: [openSite({ opened: other, count: 40 })], misuses: [] })[0]!.fingerprint).toBe(
      fingerprintOf(opened),
    );
  });

  it('does not depend on which function of its family the call ended up in', () => {
    const of = (name: string) => fingerprintOf(called('NtCreateEvent', `kernelbase!${name}`, ...mainBottom));
    expect(['CreateEventA', 'CreateEventExW', 'CreateEventExA', 'CreateEvent'].map(of)).toEqual(
      Array.from({ length: 4 }, () => of('CreateEventW')),
    );
    expect(
      new Set(['CreateMutexW', 'CreateEventW', 'OpenEventW', 'WSASocketW', 'socket', 'CreateFile2'].map(of)).size,
    ).toBe(6);
  });

  it('depends on every function of the program, on the function called and on the type', () => {
    const prints = [fingerprintOf(opened), fingerprintOf(opened, 'File')];
    for (const index of [0, 1, 2, 3]) {
      const stack = opened.stack.map((frame, at) =>
        at === index ? { ...frame, function: `${frame.function}Other` } : frame,
      );
      prints.push(fingerprintOf({ ...opened, stack }));
    }
    expect(new Set(prints).size).toBe(prints.length);
  });
});
