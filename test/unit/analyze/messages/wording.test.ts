import { describe, expect, it } from 'vitest';

import {
  capitalise,
  spellActor,
  spellApi,
  spellFrames,
  spellHistory,
  spellOffender,
  spellPlace,
  spellValue,
  spellValues,
} from '../../../../src/analyze/wording.ts';
import { called, frame, mainBottom, stack } from '../evidence.ts';

describe('a value', () => {
  it.each<[text: string, value: bigint, type?: string]>([
    ['NULL', 0n],
    ['INVALID_HANDLE_VALUE (-1)', -1n],
    ['INVALID_HANDLE_VALUE (-1)', 0xffff_ffff_ffff_ffffn],
    ['the pseudo handle -2', -2n],
    ['the pseudo handle -6', -6n],
    ['0xfffffffffffffff9', -7n],
    ['0x1', 1n],
    ['0x1a4', 0x1a4n],
    ['0', 0n, 'Descriptor'],
    ['-1', -1n, 'Descriptor'],
  ])('is %s', (text, value, type) => {
    expect(spellValue(value, type)).toBe(text);
  });

  it.each<[text: string, values: readonly bigint[]]>([
    ['', []],
    ['0x4', [4n]],
    ['0x4 and 0x8', [4n, 8n]],
    ['0x4, 0x8 and 0xc', [4n, 8n, 12n]],
    ['0x4, 0x8, 0xc and 1 more', [4n, 8n, 12n, 16n]],
    ['0x4, 0x8, 0xc and 2 more', [4n, 8n, 12n, 16n, 20n]],
  ])('stands with others: %s', (text, values) => {
    expect(spellValues(values)).toBe(text);
  });
});

describe('a place', () => {
  it.each<[text: string, frames: readonly string[]]>([
    ['an unknown place', []],
    ['code outside of all modules', ['?+0x7ff0']],
    ['app.exe+0x1234', ['app+0x1234']],
    ['app.exe!work', ['app!work']],
    ['work (w.c:9)', ['app!work @src\\w.c:9']],
    ['w.c:9', ['app+0x10 @src/w.c:9']],
    ['work (w.c:9, w.c:10)', ['app!work @w.c:10', 'app!work @w.c:9', 'app!work @w.c:10']],
    ['work (a.h:20, w.c:3)', ['app!work @w.c:3', 'app!work @a.h:20']],
    ['work (w.c:1, w.c:2, w.c:30)', ['app!work @w.c:30', 'app!work @w.c:2', 'app!work @w.c:1']],
    ['work (w.c:1, w.c:2, w.c:3, 2 more lines)', [5, 4, 3, 2, 1].map((line) => `app!work @w.c:${line}`)],
  ])('is %s', (text, frames) => {
    expect(spellFrames(frames.map(frame))).toBe(text);
  });

  it('is a file where the line is not known', () => {
    expect(spellFrames([{ ...frame('app!work'), file: 'C:\\src\\w.c' }])).toBe('work (w.c)');
  });

  it.each<[text: string, frames: readonly string[]]>([
    ['open_gate (g.c:3)', ['kernelbase!CreateEventW', 'app!open_gate @g.c:3', ...mainBottom]],
    ['app.exe+0x1234 below main (app.c:9)', ['kernelbase!CreateEventW', 'app+0x1234', ...mainBottom]],
    ['app.exe+0x1234 below rotate', ['kernelbase!CreateEventW', 'app+0x1234', 'app+0x99', 'app!rotate', ...mainBottom]],
    [
      'plugin.dll+0x1234 below app.exe!rotate',
      ['kernelbase!CreateEventW', 'plugin+0x1234', 'app!rotate', ...mainBottom],
    ],
    ['app.exe+0x1234', ['kernelbase!CreateEventW', 'app+0x1234', 'kernel32!BaseThreadInitThunk']],
    ['rpcrt4.dll!NdrClientCall3', ['kernelbase!CreateEventW', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart']],
    ['an unknown place', []],
  ])('of a stack is %s', (text, frames) => {
    expect(spellPlace(stack(...frames))).toBe(text);
  });

  it('of several stacks lists the lines of one function, and of none is unknown', () => {
    const at = (line: number) => stack('kernelbase!CreateEventW', `app!work @w.c:${line}`, ...mainBottom);
    expect(spellPlace(at(9), at(4))).toBe('work (w.c:4, w.c:9)');
    expect(spellPlace()).toBe('an unknown place');
  });
});

describe('a function of Windows', () => {
  it.each([
    ['ws2_32!WSAStartup', 'ws2_32!WSAStartup'],
    ['ws2_32+0x1a', 'ws2_32+0x1a'],
    ['my.dll.helper!Open', 'my.dll.helper!Open'],
  ])('is %s', (text, given) => {
    expect(spellApi(frame(given))).toBe(text);
  });
});

describe('the maker of a refused call', () => {
  const offender = (system: boolean, ...frames: readonly string[]): string =>
    spellOffender([{ offending: called('NtClose', ...frames) }], system);

  it.each<[text: string, system: boolean, frames: readonly string[]]>([
    ['CloseHandle at main (app.c:9)', false, ['kernelbase!CloseHandle', ...mainBottom]],
    ['NtClose at main (app.c:9)', false, mainBottom],
    ['NtClose at main (app.c:9)', false, ['kernelbase+0x35', ...mainBottom]],
    [
      'NtClose, made by winhttp!WinHttpOpen for itself (called at main (app.c:9))',
      true,
      ['kernelbase!CloseHandle', 'winhttp!WinHttpOpen', ...mainBottom],
    ],
    [
      'NtClose, made by the system at rpcrt4.dll!NdrClientCall3',
      true,
      ['kernelbase!CloseHandle', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart'],
    ],
    [
      'NtClose at combase.dll!F63, too deep to see who asked for it,',
      true,
      Array.from({ length: 64 }, (_, depth) => `combase!F${depth}`),
    ],
  ])('is %s', (text, system, frames) => {
    expect(offender(system, ...frames)).toBe(text);
  });

  it('is unknown where no call is', () => {
    expect(spellOffender([], false)).toBe('a call at an unknown place');
  });
});

describe('a process that took part', () => {
  const server = { pid: 48, image: 'C:\\bin/server.exe' };
  const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', ...mainBottom);

  it('is named, unless it is the program itself', () => {
    expect([spellActor(undefined), spellActor(server)]).toEqual(['', ' by process 48 (server.exe)']);
  });

  it.each([
    ['', [{}], 'may-be-open'],
    [', closed out of sight of the recorder,', [{}], 'was-closed'],
    [', opened at main (app.c:9),', [{ opened }], 'may-be-open'],
    [', opened at main (app.c:9) by process 48 (server.exe),', [{ opened, openedBy: server }], 'may-be-open'],
    [
      ', opened at main (app.c:9) and closed at main (app.c:9) by process 48 (server.exe),',
      [{ opened, closed: opened, closedBy: server }],
      'was-closed',
    ],
    ['', [], 'may-be-open'],
  ] as const)('has a history: %s', (text, misuses, close) => {
    expect(spellHistory(misuses, close)).toBe(text);
  });
});

describe('the beginning of a sentence', () => {
  it.each([
    ['socket 0x4', 'Socket 0x4'],
    ['X', 'X'],
    ['', ''],
  ])('of %j is %j', (text, beginning) => {
    expect(capitalise(text)).toBe(beginning);
  });
});
