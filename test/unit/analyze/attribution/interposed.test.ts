import { describe, expect, it } from 'vitest';
import { attributeOpening } from '../../../../src/analyze/attribution.ts';
import { type Interposers, markInterposed } from '../../../../src/analyze/interposed.ts';
import { dissect, normaliseStack } from '../../../../src/analyze/stacks.ts';
import type { Stack } from '../../../../src/model.ts';
import { mainBottom, stack } from '../evidence.ts';

/** `guard.dll` is no part of the program, and no function of Windows leads to it. */
const unproven: Interposers = { isForeign: (module) => module === 'guard.dll', isHooked: () => false };
/** It hooks these functions; without names, it hooks system calls. */
const hooking = (...names: readonly string[]): Interposers => ({
  ...unproven,
  isHooked: (module, name) =>
    /^(?:guard|umppc)\.dll$/.test(module) && (name === undefined ? names.length === 0 : names.includes(name)),
});

const work = 'app!work @app.c:4';
const event = { type: 'Event' };
const bare = stack('kernelbase!CreateEventW', work, ...mainBottom);

interface Case {
  readonly title: string;
  readonly frames: readonly string[];
  readonly interposers?: Interposers;
}

const transparent: readonly Case[] = [
  {
    title: 'a hook of the function that the program called',
    frames: ['kernelbase!CreateEventW', 'guard!on_create_event', work],
    interposers: hooking('CreateEventW'),
  },
  {
    title: 'a hook of a system call, whose stub it calls',
    frames: ['guard!on_nt_create_event', 'kernelbase!CreateEventW', work],
  },
  {
    title: 'a hook of a system call that the program makes',
    frames: ['guard!on_nt_create_event', work],
    interposers: hooking(),
  },
  {
    title: 'a hook between two functions of Windows',
    frames: ['kernelbase!CreateEventExW', 'guard!hook', 'guard!inner', 'kernelbase!CreateEventW', work],
  },
  {
    title: 'two hooks, one behind the other',
    frames: ['guard!on_nt', 'kernelbase!CreateEventW', 'guard!on_create', work],
    interposers: hooking('CreateEventW'),
  },
  {
    title: 'a hook in a DLL that other software has put among those of Windows',
    frames: ['kernelbase!CreateEventW', 'umppc!on_create_event', work],
    interposers: hooking('CreateEventW'),
  },
  { title: 'a shim of Windows', frames: ['kernelbase!CreateEventW', 'AcLayers!NS_FaultTolerantHeap::APIHook', work] },
  { title: 'the compatibility engine', frames: ['kernelbase!CreateEventW', 'apphelp!SE_Hook', work] },
  { title: 'Application Verifier', frames: ['kernelbase!CreateEventW', 'verifier!AVrfpNtCreateEvent', work] },
  {
    title: 'Application Verifier’s checks above a nameless function',
    frames: ['vfbasics+0x1230', 'kernelbase!CreateEventW', 'vfbasics+0x4560', work],
  },
];

describe('the site is the program’s function below', () => {
  it.each(transparent)('$title', ({ frames, interposers = unproven }) => {
    const marked = markInterposed(stack(...frames, ...mainBottom), interposers);
    const isNt = !frames.some((frame) => frame.startsWith('kernelbase'));
    expect(dissect(marked).site?.function).toBe('work');
    expect(dissect(marked).api?.function).toBe(isNt ? undefined : 'CreateEventW');
    expect(attributeOpening(marked, event)).toBe('program');
    const clean = isNt ? stack(work, ...mainBottom) : bare;
    expect(normaliseStack(marked), 'and so the fingerprint is').toEqual(normaliseStack(clean));
  });
});

const opaque: readonly Case[] = [
  { title: 'called by the program', frames: ['kernelbase!CreateEventW', 'guard!open', work] },
  { title: 'called by the program, without a function of Windows', frames: ['guard!open', work] },
  {
    title: 'called by the program, though it hooks something else',
    frames: ['kernelbase!CreateEventW', 'guard!open', work],
    interposers: hooking('CreateFileW'),
  },
  ...[
    'msvcrt!qsort',
    'ucrtbase!bsearch',
    'kernelbase!EnumUILanguagesW',
    'kernel32!CopyFileExW',
    'kernelbase!InitOnceExecuteOnce',
    'kernelbase!LoadLibraryExW',
    'ntdll!KiUserExceptionDispatcher',
    'ntdll!LdrLoadDll',
    'ntdll!RtlRunOnceExecuteOnce',
    'ntdll!TpCallbackMayRunLong',
    'ucrtbase!exit',
    'ws2_32!WSAAccept',
  ].map((caller) => ({
    title: `called back by ${caller}`,
    frames: ['kernelbase!CreateEventW', 'guard!callback', caller, work],
  })),
  {
    title: 'called back by a window procedure',
    frames: ['kernelbase!CreateEventW', 'guard!procedure', 'user32!UserCallWinProc', 'user32!DispatchMessageW', work],
  },
  {
    title: 'called back by a function of no known purpose',
    frames: ['kernelbase!CreateEventW', 'guard!callback', 'kernelbase+0x1230', work],
  },
  {
    title: 'called back through a function of another DLL',
    frames: ['kernelbase!CreateEventW', 'guard!callback', 'user32!EnumWindows', 'kernelbase!CreateEventW', work],
  },
];

describe('a function of a DLL outside of the program’s directory is the site when it is', () => {
  it.each(opaque)('$title', ({ frames, interposers = unproven }) => {
    const plain = stack(...frames, ...mainBottom);
    const marked = markInterposed(plain, interposers);
    expect(marked).toBe(plain);
    expect(dissect(marked).site?.module).toBe('guard.dll');
  });

  it('the beginning of a thread', () => {
    const thread = ['kernelbase!CreateEventW', 'guard!worker', 'kernel32!BaseThreadInitThunk'];
    const plain = stack(...thread, 'ntdll!RtlUserThreadStart');
    expect(markInterposed(plain, unproven)).toBe(plain);
  });
});

describe('the program’s own DLL is the site', () => {
  it.each<{ title: string; frames: readonly string[] }>([
    { title: 'between two functions of Windows', frames: ['plugin!hook', 'kernelbase!CreateEventW', work] },
    { title: 'in a callback', frames: ['kernelbase!CreateEventW', 'plugin!compare', 'msvcrt!qsort', work] },
  ])('$title', ({ frames }) => {
    const plain = stack(...frames, ...mainBottom);
    expect(markInterposed(plain, { ...unproven, isHooked: () => true })).toBe(plain);
  });
});

it('the compatibility engine that Windows calls for itself is Windows', () => {
  const plain = stack('kernelbase!CreateFileW', 'apphelp!SdbOpenDatabase', 'kernelbase!CreateProcessW', work);
  expect(markInterposed(plain, unproven)).toBe(plain);
  expect(attributeOpening(plain, { type: 'File' })).toBe('system');
});

it('a marked frame counts as one of the system, and is no part of a fingerprint of the system’s', () => {
  const frames = ['kernelbase!CreateEventW', 'verifier!AVrfpCreate', 'rpcrt4!NdrClientCall3'];
  const marked: Stack = markInterposed(stack(...frames), unproven);
  expect(marked[1]).toMatchObject({ system: true, interposed: true });
  expect(normaliseStack(marked)).toEqual(['kernelbase.dll!CreateEventW', 'rpcrt4.dll!NdrClientCall3']);
});
