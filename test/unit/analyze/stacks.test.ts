import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import { attributeMisuse, attributeOpening } from '../../../src/analyze/attribution.ts';
import { dissect, isBeforeMain, normaliseStack, reachesThreadStart, trimStack } from '../../../src/analyze/stacks.ts';
import { KEPT_FRAME_COUNT, type Stack } from '../../../src/model.ts';
import { mainBottom, misuse, openSite, stack } from './evidence.ts';

const base = stack(
  'kernelbase!CreateFileW+0x3e4',
  'msvcrt!_wfsopen+0x69',
  'msvcrt!fopen+0xf',
  'app!open_log+0x21 @Z:\\src\\log.c:42',
  ...mainBottom,
);
const withFrames = (change: (frame: Stack[number], index: number) => Stack[number]): Stack => base.map(change);

describe('a normalised stack', () => {
  it('is the function that the program called and the program’s functions', () => {
    expect(normaliseStack(base)).toEqual(['fopen', 'app.exe!open_log', 'app.exe!main']);
  });

  it.each<{ title: string; other: Stack }>([
    {
      title: 'other offsets in the functions',
      other: withFrames((frame) => ({ ...frame, offset: frame.offset + 0x77 })),
    },
    {
      title: 'other lines',
      other: withFrames((frame) => (frame.line === undefined ? frame : { ...frame, line: frame.line + 100 })),
    },
    {
      title: 'another source directory',
      other: withFrames((frame) => (frame.file === undefined ? frame : { ...frame, file: '/home/ci/log.c' })),
    },
    { title: 'no lines at all', other: withFrames(({ file: _file, line: _line, ...frame }) => frame) },
    {
      title: 'modules in capitals and with a directory',
      other: withFrames((frame) => ({ ...frame, module: `C:\\X\\${frame.module.toUpperCase()}` })),
    },
    {
      title: 'another way of the system to do the work',
      other: stack(
        'ntdll!NtCreateFile',
        'kernelbase!CreateFileInternal',
        'ucrtbase!common_fsopen',
        'ucrtbase!fopen',
        'app!open_log',
        ...mainBottom,
      ),
    },
    {
      title: 'another runtime around main',
      other: stack(
        'msvcrt!fopen',
        'app!open_log',
        'app!main',
        'app!invoke_main',
        'app!__scrt_common_main_seh',
        'kernel32!BaseThreadInitThunk',
      ),
    },
    {
      title: 'Rust’s runtime around main',
      other: stack(
        'msvcrt!fopen',
        'app!open_log',
        'app!main',
        'app!std::rt::lang_start::<()>',
        'app!std::rt::lang_start<tuple$<> >',
        'app!std::rt::lang_start_internal',
        'kernel32!BaseThreadInitThunk',
      ),
    },
    { title: 'garbage above the thread’s beginning', other: [...base, ...stack('app+0xc0000000', '?', 'app+0x14d0')] },
    { title: 'a function that GCC cloned', other: stack('msvcrt!fopen', 'app!open_log.constprop.0', ...mainBottom) },
    {
      title: 'a function that was inlined into its caller',
      other: base.map((frame) => (frame.function === 'open_log' ? { ...frame, inlined: true } : frame)),
    },
    {
      title: 'a recursion that went deeper',
      other: stack('msvcrt!fopen', 'app!open_log', 'app!open_log', 'app!open_log', ...mainBottom),
    },
  ])('is the same with $title', ({ other }) => {
    expect(normaliseStack(other)).toEqual(normaliseStack(base));
  });

  it.each<{ title: string; other: Stack }>([
    { title: 'another function of the program', other: stack('msvcrt!fopen', 'app!open_table', ...mainBottom) },
    { title: 'another module of the program', other: stack('msvcrt!fopen', 'plugin!open_log', ...mainBottom) },
    { title: 'another function of the system', other: stack('kernelbase!CreateFileW', 'app!open_log', ...mainBottom) },
    { title: 'another caller', other: stack('msvcrt!fopen', 'app!open_log', 'app!reload', ...mainBottom) },
  ])('differs with $title', ({ other }) => {
    expect(normaliseStack(other)).not.toEqual(normaliseStack(base));
  });

  it('falls back to module and offset for the program’s nameless functions', () => {
    expect(normaliseStack(stack('kernelbase!CreateEventW', 'app+0x13ae', 'app+0x14e6'))).toEqual([
      'CreateEvent',
      'app.exe+0x13ae',
      'app.exe+0x14e6',
    ]);
  });

  it('has no offsets for Windows’ nameless functions and for addresses of no module: they differ from run to run', () => {
    expect(normaliseStack(stack('kernelbase+0x512', '?+0x7ff000', 'app!main'))).toEqual([
      'kernelbase.dll',
      '?',
      'app.exe!main',
    ]);
  });

  it('drops the hash that Rust puts at the end of names', () => {
    expect(normaliseStack(stack('app!demo::open::h0123456789abcdef'))).toEqual(['app.exe!demo::open']);
  });

  it('is all of the system’s frames when there are no others', () => {
    expect(normaliseStack(stack('kernelbase!CreateEventW+0x35', 'rpcrt4!NdrClientCall3'))).toEqual([
      'kernelbase.dll!CreateEventW',
      'rpcrt4.dll!NdrClientCall3',
    ]);
  });
});

describe('the site of a call', () => {
  it('is the first frame that is not the system’s', () => {
    expect(dissect(base).site?.function).toBe('open_log');
    expect(dissect(base).api?.function).toBe('fopen');
  });

  it('is not a C runtime that was linked into the program', () => {
    const linked = stack(
      'kernelbase!CreateFileW',
      'app!_wsopen_nolock @minkernel\\crts\\ucrt\\src\\appcrt\\lowio\\open.cpp:9',
      'app!fopen @minkernel\\crts\\ucrt\\src\\appcrt\\stdio\\fopen.cpp:4',
      'app!open_log @log.c:42',
      'app!main',
    );
    expect(dissect(linked).site?.function).toBe('open_log');
    expect(dissect(linked).api?.function).toBe('CreateFileW');
  });

  it('is absent where only the system runs', () => {
    expect(dissect(stack('ntdll!TppWorkerThread', 'ntdll!RtlUserThreadStart'))).not.toHaveProperty('site');
  });
});

describe('a trimmed stack', () => {
  it('ends where the thread began', () => {
    const trimmed = trimStack([...base, ...stack('app+0xc0000000', '?')]);
    expect(trimmed.at(-1)?.function).toBe('RtlUserThreadStart');
    expect(trimmed).toHaveLength(base.length);
  });

  it('marks the frames of the compiler’s runtime', () => {
    expect(
      trimStack(base)
        .filter((frame) => frame.runtime)
        .map((frame) => frame.function),
    ).toEqual(['__tmainCRTStartup', 'mainCRTStartup']);
  });

  it.each<[string, Stack]>([
    ['an empty stack', []],
    ['a stack of unknown code', stack('?', '?')],
  ])('survives %s', (_title, odd) => {
    expect(() => [trimStack(odd), normaliseStack(odd), dissect(odd)]).not.toThrow();
  });
});

describe('with symbols of the system, which name what it does not export,', () => {
  /** The frame as a PDB names it, and as the exports alone do. */
  const both = (text: string, exported: string): Stack => {
    const [plain] = stack(text);
    return [{ ...plain!, exported }];
  };
  const named = [...both('kernelbase!CreateEventInternal', 'CreateEventW'), ...stack('app!open_gate', ...mainBottom)];
  const nameless = [...both('kernelbase!BasepHelper', ''), ...stack('app!open_gate', ...mainBottom)];

  it('a stack has the same normal form', () => {
    expect(normaliseStack(named)).toEqual(
      normaliseStack(stack('kernelbase!CreateEventW', 'app!open_gate', ...mainBottom)),
    );
    expect(normaliseStack(nameless)).toEqual(
      normaliseStack(stack('kernelbase+0x1230', 'app!open_gate', ...mainBottom)),
    );
  });

  it('the owner of a handle is the same', () => {
    const event = { type: 'Event' };
    expect([named, nameless].map((each) => attributeOpening(each, event))).toEqual(['program', 'program']);
    const internal = [...both('shell32!CreateHelper', ''), ...stack('app!open_gate', ...mainBottom)];
    const openings = [internal, stack('shell32+0x1230', 'app!open_gate', ...mainBottom)];
    expect(openings.map((each) => attributeOpening(each, event))).toEqual(['system', 'system']);
  });

  it('a refused call is the same mistake', () => {
    const refused = [named, nameless].map((each) =>
      attributeMisuse(misuse({ offending: { call: 'NtClose', threadId: 1, timeMs: 0, stack: each } })),
    );
    expect(refused).toEqual(['system', 'program']);
    const bare = stack('kernelbase!CreateEventW', 'app!open_gate', ...mainBottom);
    expect(attributeMisuse(misuse({ offending: { call: 'NtClose', threadId: 1, timeMs: 0, stack: bare } }))).toBe(
      refused[0],
    );
  });

  it('the beginning of a thread is the same', () => {
    const loading = [
      ...stack('kernelbase!CreateEventW', 'plugin!DllMain'),
      ...both('ntdll!LdrpInit', 'LdrInitializeThunk'),
    ];
    expect(isBeforeMain(loading)).toBe(true);
    expect(reachesThreadStart(loading)).toBe(true);
  });

  it('people read the name that the symbols give', () => {
    expect(dissect(named).api?.function).toBe('CreateEventInternal');
  });
});

describe('a stack of nothing but system code', () => {
  const deep = (count: number, ...bottom: readonly string[]): Stack => {
    const frames = Array.from({ length: count - 1 - bottom.length }, (_, index) => `combase!Inner${index}`);
    return stack('kernelbase!CreateEventW', ...frames, ...bottom);
  };
  const bottom = ['kernel32!BaseThreadInitThunk', 'ntdll!RtlUserThreadStart'];

  it.each<{ title: string; frames: Stack; actor: string }>([
    { title: 'that is full has an unknown maker', frames: deep(KEPT_FRAME_COUNT), actor: 'unknown' },
    { title: 'that is full but for frames of the recorder, too', frames: deep(KEPT_FRAME_COUNT - 4), actor: 'unknown' },
    {
      title: 'that is full and has the thread’s beginning is the system’s',
      frames: deep(64, ...bottom),
      actor: 'system',
    },
    { title: 'of 40 frames is the system’s', frames: deep(40, ...bottom), actor: 'system' },
    { title: 'that ends early, as at the start of a process, is the system’s', frames: deep(12), actor: 'system' },
  ])('$title', ({ frames, actor }) => {
    expect(attributeOpening(frames, { type: 'Event' })).toBe(actor);
    expect(attributeMisuse(misuse({ offending: { call: 'NtClose', threadId: 1, timeMs: 0, stack: frames } }))).toBe(
      actor,
    );
  });

  it('that is full leads to a note which says so', () => {
    const opened = { call: 'NtCreateEvent', threadId: 1, timeMs: 0, stack: deep(KEPT_FRAME_COUNT) };
    const [finding] = analyze({ open: [openSite({ opened })], misuses: [] });
    expect(finding).toMatchObject({ rule: 'leak', level: 'note' });
    expect(finding!.message).toMatch(/is too deep to show the code that asked for it\.$/);
  });
});
