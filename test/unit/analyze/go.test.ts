// Stacks of programs in Go, as recorded under Wine 8 from programs of Go 1.19 and 1.26.
import { describe, expect, it } from 'vitest';

import { attributeMisuse, attributeOpening } from '../../../src/analyze/attribution.ts';
import { dissect, normaliseStack, trimStack } from '../../../src/analyze/stacks.ts';
import type { HandleObject, Stack } from '../../../src/model.ts';
import { called, misuse, stack } from './evidence.ts';

const GO = 'Z:\\usr\\lib\\go-1.19\\src';
const file: HandleObject = { type: 'File' };

/** The way of a system call, in the runtime and its package for system calls. */
const syscall119 = [
  `app!runtime.asmstdcall @${GO}\\runtime\\sys_windows_amd64.s:56`,
  `app!syscall.SyscallN @${GO}\\runtime\\syscall_windows.go:557`,
];
const syscall126 = [
  'app!internal/runtime/syscall/windows.asmstdcall @internal/runtime/syscall/windows/asm_windows_amd64.s:66',
  'app!runtime.asmcgocall_landingpad @runtime/asm_amd64.s:934',
  'app!runtime.asmcgocall @runtime/asm_amd64.s:995',
  'app!runtime.cgocall @runtime/cgocall.go:185',
  'app!syscall.syscalln @runtime/syscall_windows.go:431',
  'app!syscall.SyscallN @syscall/dll_windows.go:99',
];
const open = [
  `app!syscall.CreateFile @${GO}\\syscall\\zsyscall_windows.go:507`,
  `app!os.OpenFile @${GO}\\os\\file.go:338`,
];
const bottom = [
  'app!main.main @Z:\\src\\main.go:95',
  `app!runtime.main @${GO}\\runtime\\proc.go:250`,
  `app!runtime.goexit @${GO}\\runtime\\asm_amd64.s:1594`,
];
const leakFile = 'app!main.leakFile @Z:\\src\\main.go:35';
const created = 'kernelbase!CreateFileW';

function siteOf(frames: Stack): string | undefined {
  return dissect(frames).site?.function;
}

describe('the site of a call in Go', () => {
  it.each<{ title: string; frames: readonly string[]; site: string }>([
    {
      title: 'is the program’s function, not one of the standard library',
      frames: [created, ...syscall119, ...open, leakFile, ...bottom],
      site: 'main.leakFile',
    },
    {
      title: 'is the same in a build with -trimpath',
      frames: [created, ...syscall126, 'app!os.OpenFile @os/file.go:338', 'app!main.leakFile @app/main.go:35'],
      site: 'main.leakFile',
    },
    {
      title: 'is a method, a closure or an instance of a generic function',
      frames: [created, ...syscall119, ...open, 'app!main.(*store[...]).open.func1 @Z:\\src\\main.go:26', ...bottom],
      site: 'main.(*store[...]).open.func1',
    },
    {
      title: 'is in a library from elsewhere',
      frames: [created, ...syscall119, ...open, 'app!github.com/x/log.Open @Z:\\go\\x\\log@v1\\log.go:3', ...bottom],
      site: 'github.com/x/log.Open',
    },
    {
      title: 'is the caller of the functions of the system in golang.org/x/sys',
      frames: [
        created,
        ...syscall119,
        'app!golang.org/x/sys/windows.CreateFile @Z:\\go\\pkg\\mod\\golang.org\\x\\sys@v0.1.0\\windows\\z.go:7',
        leakFile,
        ...bottom,
      ],
      site: 'main.leakFile',
    },
    {
      title: 'is in a package of the program that has the name of a package of the standard library',
      frames: [created, ...syscall119, ...open, 'app!index/store.Open @Z:\\home\\index\\store\\store.go:3', ...bottom],
      site: 'index/store.Open',
    },
    {
      title: 'is the caller of a function of C, which stands in the code of cgo',
      frames: [
        created,
        'app!open_log @Z:\\src\\log.c:42',
        'app!runtime.asmcgocall @runtime/asm_amd64.s:844',
        'app!main._Cfunc_open_log @_cgo_gotypes.go:50',
        ...bottom,
      ],
      site: 'open_log',
    },
  ])('$title', ({ frames, site }) => {
    expect(siteOf(stack(...frames))).toBe(site);
    expect(attributeOpening(stack(...frames), file)).toBe('program');
  });

  it('does not depend on how the standard library and the runtime do their work', () => {
    const one = normaliseStack(stack(created, ...syscall119, ...open, leakFile, ...bottom));
    expect(one).toEqual(['CreateFile', 'app.exe!main.leakFile', 'app.exe!main.main']);
    expect(normaliseStack(stack(created, ...syscall126, ...open, ...open, leakFile, ...bottom))).toEqual(one);
  });

  it('keeps names that look like the marks of another compiler, however large the function is', () => {
    const frames = stack(created, ...syscall119, 'app!main.part+0x20000 @Z:\\src\\main.go:3', ...bottom);
    expect(normaliseStack(frames)).toContain('app.exe!main.part');
  });

  it('leaves functions of C and C++ alone that have the names of packages', () => {
    const frames = stack(created, 'app!log.part.0 @Z:\\src\\log.c:3', 'app!os.open @Z:\\src\\os.c:4');
    expect(trimStack(frames).filter(({ runtime }) => runtime === true)).toEqual([]);
  });
});

describe('a handle that the program did not ask for', () => {
  const event: HandleObject = { type: 'Event' };
  const newEvent = 'kernelbase!CreateEventA';
  const newThread = [
    `app!runtime.asmstdcall @${GO}\\runtime\\sys_windows_amd64.s:56`,
    `app!runtime.stdcall4 @${GO}\\runtime\\os_windows.go:1080`,
    `app!runtime.semacreate @${GO}\\runtime\\os_windows.go:884`,
  ];
  it.each<{ title: string; frames: readonly string[]; object?: HandleObject; site: string }>([
    {
      title: 'is the runtime’s where a thread of the runtime opened it',
      frames: [newEvent, ...newThread, `app!runtime.mstart @${GO}\\runtime\\asm_amd64.s:390`],
      site: 'runtime.semacreate',
    },
    {
      title: 'is the runtime’s where a go statement of the program made a thread',
      frames: [newEvent, ...newThread, `app!runtime.newproc @${GO}\\runtime\\proc.go:4200`, ...bottom],
      site: 'runtime.semacreate',
    },
    {
      title: '[ran] is the runtime’s where a system call of the program comes back, and finds no processor free',
      frames: [
        newEvent,
        ...newThread,
        `app!runtime.notesleep @${GO}\\runtime\\lock_sema.go:170`,
        `app!runtime.exitsyscall0 @${GO}\\runtime\\proc.go:3972`,
        `app!runtime.mcall @${GO}\\runtime\\asm_amd64.s:448`,
        `app!runtime.cgocall @${GO}\\runtime\\cgocall.go:177`,
        `app!syscall.SyscallN @${GO}\\runtime\\syscall_windows.go:557`,
        `app!syscall.CreateFile @${GO}\\syscall\\zsyscall_windows.go:507`,
        ...open,
        ...bottom,
      ],
      site: 'runtime.semacreate',
    },
    {
      title: 'is the runtime’s in Go 1.26',
      frames: [newEvent, syscall126[0]!, 'app!runtime.semacreate @runtime/os_windows.go:727', ...bottom],
      site: 'runtime.semacreate',
    },
    {
      title: 'is the runtime’s where the runtime called a function of C',
      frames: [
        newEvent,
        'app!_cgo_preinit_init+0x20',
        'app+0x1234',
        `app!runtime.asmcgocall @${GO}\\runtime\\asm_amd64.s:844`,
        `app!runtime.main @${GO}\\runtime\\proc.go:230`,
        `app!runtime.goexit @${GO}\\runtime\\asm_amd64.s:1594`,
      ],
      site: 'runtime.main',
    },
    {
      title: 'is the runtime’s where its C code opened it while the program called a DLL that Go built',
      frames: [
        newEvent,
        'plugin!_cgo_preinit_init @/_/_/runtime/cgo/gcc_libinit_windows.c:38',
        'plugin!_cgo_wait_runtime_init_done @/_/_/runtime/cgo/gcc_libinit_windows.c:81',
        'app!main @Z:\\src\\host.c:3',
      ],
      site: '_cgo_preinit_init',
    },
    {
      title: 'is the standard library’s on a goroutine of its own',
      frames: [created, ...syscall119, ...open, `app!runtime.goexit @${GO}\\runtime\\asm_amd64.s:1594`],
      site: 'syscall.CreateFile',
    },
    {
      title: 'is the standard library’s where it waits for a connection',
      frames: [
        'ws2_32!WSASocketW',
        ...syscall119,
        `app!internal/poll.(*FD).Accept @${GO}\\internal\\poll\\fd_windows.go:965`,
        leakFile,
        ...bottom,
      ],
      object: { type: 'Socket', socket: { state: 'unbound' } },
      site: 'main.leakFile',
    },
  ])('$title', ({ frames, object = event, site }) => {
    const opened = frames[0] === created ? file : object;
    expect(attributeOpening(stack(...frames), opened)).toBe('runtime');
    expect(siteOf(stack(...frames))).toBe(site);
  });

  it('is nobody’s where the stack ends in the standard library', () => {
    expect(attributeOpening(stack(created, ...syscall119, ...open), file)).toBe('unknown');
    expect(attributeOpening(stack(created, syscall119[0]!), file)).toBe('unknown');
  });

  it('is nobody’s where the walk left Go’s code at once, and found other words of the stack', () => {
    const frames = stack(created, syscall119[0]!, 'app!old_call @Z:\\src\\old.c:3', 'kernel32!BaseThreadInitThunk');
    expect(trimStack(frames)).toHaveLength(2);
    expect(attributeOpening(frames, file)).toBe('unknown');
  });

  it('does not depend on how the runtime came to open it', () => {
    const stacks = [bottom, [`app!runtime.mstart @${GO}\\runtime\\asm_amd64.s:390`]];
    const parts = stacks.map((outer) => normaliseStack(stack(newEvent, ...newThread, ...outer)));
    expect(parts[0]).toEqual(['CreateEvent', 'app.exe!runtime.semacreate']);
    expect(parts[1]).toEqual(parts[0]);
  });
});

describe('a wrong close in Go', () => {
  const close = [...syscall119, `app!syscall.CloseHandle @${GO}\\syscall\\zsyscall_windows.go:482`];
  const loadConnectEx = `app!syscall.LoadConnectEx @${GO}\\syscall\\syscall_windows.go:978`;
  const outer = [`app!net.Dial @${GO}\\net\\dial.go:322`, ...bottom];
  const wrong = (opened: readonly string[], offending: readonly string[]) =>
    attributeMisuse(
      misuse({
        kind: 'closed-as-handle',
        object: { type: 'Socket' },
        opened: called('NtCreateFile', 'ws2_32!socket', ...syscall119, ...opened),
        offending: called('NtClose', 'kernelbase!CloseHandle', ...close, ...offending),
      }),
    );

  it('is the standard library’s where one of its functions opens and closes the handle', () => {
    expect(wrong([loadConnectEx, ...outer], [loadConnectEx, ...outer])).toBe('runtime');
  });

  it('is the program’s where the program closes what it opened', () => {
    const socket = `app!syscall.Socket @${GO}\\syscall\\syscall_windows.go:867`;
    expect(wrong([socket, ...bottom], bottom)).toBe('program');
  });
});
