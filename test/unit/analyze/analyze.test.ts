import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Evidence, Finding, HandleObject, Level, Misuse, OpenSite, Rule, Wrapper } from '../../../src/model.ts';
import { called, mainBottom, misuse, openSite } from './evidence.ts';

const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!open_gate @src\\gate.c:14', ...mainBottom);
const closed = called('NtClose', 'kernelbase!CloseHandle', 'app!shut_gate @src\\gate.c:21', ...mainBottom);
const closedAgain = called('NtClose', 'kernelbase!CloseHandle', ...mainBottom);
const used = called('NtSetEvent', 'kernelbase!SetEvent', ...mainBottom);
const bySystem = called('NtOpenFile', 'kernelbase!CreateFileW', 'ws2_32!WSAStartup', ...mainBottom);
const beforeMain = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW',
  'app!Gate::Gate @gate.cpp:3',
  'app!__do_global_ctors',
  'app!__main',
  'app!__tmainCRTStartup',
);

const byFopen = called('NtCreateFile', 'kernelbase!CreateFileW', 'msvcrt!fopen', ...mainBottom);

function file(wrapper: Wrapper): HandleObject {
  return { type: 'File', wrapper };
}

function only(evidence: Partial<Evidence>): Finding {
  const findings = analyze({ open: [], misuses: [], ...evidence });
  expect(findings).toHaveLength(1);
  return findings[0]!;
}

describe('a leak', () => {
  it.each<{ title: string; site: Partial<OpenSite>; level: Level; message: string }>([
    {
      title: 'opened by the program and never closed',
      site: { opened },
      level: 'warning',
      message: 'One Event handle opened at open_gate (gate.c:14) is still open; none from this site was ever closed.',
    },
    {
      title: 'with 49 live handles',
      site: { opened, count: 49 },
      level: 'warning',
      message: '49 Event handles opened at open_gate (gate.c:14) are still open; none from this site was ever closed.',
    },
    {
      title: 'with 50 live handles',
      site: { opened, count: 50 },
      level: 'error',
      message: '50 Event handles opened at open_gate (gate.c:14) are still open; none from this site was ever closed.',
    },
    {
      title: 'whose siblings are closed',
      site: { opened, count: 3, siblingsClosedAt: closed.stack },
      level: 'error',
      message:
        '3 Event handles opened at open_gate (gate.c:14) are still open; others from this site are closed at shut_gate (gate.c:21).',
    },
    {
      title: 'of a process that has ended',
      site: {
        opened: called('NtCreateUserProcess', 'kernelbase!CreateProcessW', ...mainBottom),
        object: { type: 'Process' },
        endedCount: 1,
      },
      level: 'error',
      message:
        'One Process handle opened at main (app.c:9) is still open although its process has ended; none from this site was ever closed.',
    },
    {
      title: 'of threads of which some have ended',
      site: {
        opened: called('NtCreateThreadEx', 'kernelbase!CreateThread', ...mainBottom),
        object: { type: 'Thread' },
        count: 4,
        endedCount: 3,
      },
      level: 'error',
      message:
        '4 Thread handles opened at main (app.c:9) are still open although 3 of their threads have ended; none from this site was ever closed.',
    },
    {
      title: 'of a socket',
      site: { opened: called('NtOpenFile', 'ws2_32!socket', 'app+0x13ae'), object: { type: 'Socket' } },
      level: 'warning',
      message: 'One socket opened at app.exe+0x13ae is still open; none from this site was ever closed.',
    },
    {
      title: 'opened before main',
      site: { opened: beforeMain },
      level: 'note',
      message: 'One Event handle opened before main, at Gate::Gate (gate.cpp:3), is still open.',
    },
    {
      title: 'opened before main, however many there are',
      site: { opened: beforeMain, count: 64, siblingsClosedAt: closed.stack },
      level: 'note',
      message: '64 Event handles opened before main, at Gate::Gate (gate.cpp:3), are still open.',
    },
    {
      title: 'of the system’s own',
      site: { opened: bySystem, object: { type: 'File' }, count: 2, siblingsClosedAt: closed.stack },
      level: 'note',
      message: '2 File handles that ws2_32!WSAStartup opened for itself, called at main (app.c:9), are still open.',
    },
    {
      title: 'of a thread of the system',
      site: {
        opened: called(
          'NtCreateEvent',
          'kernelbase!CreateEventW',
          'rpcrt4!NdrClientCall3',
          'kernel32!BaseThreadInitThunk',
          'ntdll!RtlUserThreadStart',
        ),
      },
      level: 'note',
      message:
        'One Event handle that rpcrt4!NdrClientCall3 opened for itself, on a thread that runs no code of the program, is still open.',
    },
    {
      title: 'of the loader',
      site: {
        opened: called('NtOpenKey', 'ntdll!load_global_options', 'ntdll!process_attach', 'ntdll!LdrInitializeThunk'),
        object: { type: 'Key' },
      },
      level: 'note',
      message:
        'One Key handle that ntdll!process_attach opened for itself, while a thread was starting, is still open.',
    },
    {
      title: 'that the runtime closed at exit',
      site: { opened, closedAtExit: true },
      level: 'warning',
      message:
        'One Event handle opened at open_gate (gate.c:14) was left for the runtime to close at exit; none from this site was ever closed.',
    },
    {
      title: 'whose stack could not be walked',
      site: { opened: called('NtCreateEvent'), count: 99 },
      level: 'note',
      message: '99 Event handles are still open, but the stack of the opening could not be walked.',
    },
    {
      title: 'of a FILE',
      site: { opened: byFopen, object: file({ type: 'FILE', value: 0x7f0n, descriptor: 3 }) },
      level: 'warning',
      message: 'One FILE opened at main (app.c:9) is still open; none from this site was ever closed.',
    },
    {
      title: 'of descriptors',
      site: { opened: byFopen, object: file({ type: 'Descriptor', value: 3n }), count: 2 },
      level: 'warning',
      message: '2 descriptors opened at main (app.c:9) are still open; none from this site was ever closed.',
    },
    {
      title: 'of what is the stdout in the end',
      site: {
        opened: byFopen,
        object: file({ type: 'FILE', value: 0x7f0n, descriptor: 1 }),
        siblingsClosedAt: closed.stack,
      },
      level: 'note',
      message:
        'One FILE opened at main (app.c:9) is still open: the program made it a standard stream, which last as long as the process.',
    },
    {
      title: 'whose siblings are closed at other offsets of the site',
      site: {
        opened: byFopen,
        object: { type: 'File' },
        closedElsewhere: [{ opened: byFopen.stack, closed: closed.stack }],
      },
      level: 'error',
      message:
        'One File handle opened at main (app.c:9) is still open; others from this site are closed at shut_gate (gate.c:21).',
    },
    {
      title: 'of the one end of a pipe whose other end is closed',
      site: {
        opened: called('NtOpenFile', 'kernelbase!CreatePipe+0x90', ...mainBottom),
        object: { type: 'File' },
        closedElsewhere: [
          { opened: called('', 'kernelbase!CreatePipe+0x60', ...mainBottom).stack, closed: closed.stack },
        ],
      },
      level: 'warning',
      message: 'One File handle opened at main (app.c:9) is still open; none from this site was ever closed.',
    },
  ])('$title: $level', ({ site, level, message }) => {
    expect(only({ open: [openSite(site)] })).toMatchObject({ rule: 'leak', level, message, count: site.count ?? 1 });
  });

  it('is not claimed of a handle that the program did not open', () => {
    expect(analyze({ open: [openSite({ count: 500 })], misuses: [] })).toEqual([]);
  });

  it('shows one place where its siblings are closed, the same one in every run', () => {
    const sites = [
      openSite({ opened, siblingsClosedAt: closed.stack }),
      openSite({ opened, count: 2, siblingsClosedAt: closedAgain.stack }),
    ];
    const shown = only({ open: sites }).stacks.siblingsClosed;
    expect(shown?.[0]?.function).toBe('CloseHandle');
    expect(only({ open: [...sites].reverse() }).stacks.siblingsClosed).toEqual(shown);
  });

  it('is one finding for all openings from the same functions, and lists their lines', () => {
    const elsewhere = called(
      'NtCreateEvent',
      'kernelbase!CreateEventW+0x99',
      'app!open_gate+0x44 @src\\gate.c:9',
      ...mainBottom,
    );
    const finding = only({
      open: [openSite({ opened, count: 7 }), openSite({ opened: elsewhere, count: 6, siblingsClosedAt: closed.stack })],
    });
    expect(finding).toMatchObject({ count: 13, level: 'error' });
    expect(finding.message).toContain('opened at open_gate (gate.c:9, gate.c:14) are');
  });

  it('is a finding of its own for every type of object', () => {
    const process = called('NtCreateUserProcess', 'kernelbase!CreateProcessW', ...mainBottom);
    const findings = analyze({
      open: [
        openSite({ opened: process, object: { type: 'Process' } }),
        openSite({ opened: process, object: { type: 'Thread' } }),
      ],
      misuses: [],
    });
    expect(findings.map((finding) => finding.object.type).sort()).toEqual(['Process', 'Thread']);
  });

  it('names at most ten handles, the lowest, each once', () => {
    const finding = only({ open: [openSite({ opened, count: 30 }), openSite({ opened, count: 4 })] });
    expect(finding.handles).toEqual([0x1a4n, 0x1a8n, 0x1acn, 0x1b0n, 0x1b4n, 0x1b8n, 0x1bcn, 0x1c0n, 0x1c4n, 0x1c8n]);
  });

  it('says what each handle refers to when they differ, and once when they do not', () => {
    const handle = (value: bigint, name: string) => ({
      value,
      object: { type: 'File', name },
      access: 1,
      inheritable: false,
      protectFromClose: false,
    });
    const file = called('NtCreateFile', 'kernelbase!CreateFileW', ...mainBottom);
    const site = (names: readonly string[]) =>
      openSite({
        opened: file,
        object: { type: 'File' },
        count: names.length,
        examples: names.map((name, index) => handle(BigInt(4 + index * 4), name)),
      });
    expect(only({ open: [site(['C:\\a.log', 'C:\\b.log'])] })).toMatchObject({
      object: { type: 'File' },
      objects: [{ name: 'C:\\a.log' }, { name: 'C:\\b.log' }],
    });
    const alike = only({ open: [site(['C:\\a.log', 'C:\\a.log'])] });
    expect(alike.object).toEqual({ type: 'File', name: 'C:\\a.log' });
    expect(alike).not.toHaveProperty('objects');
  });
});

describe('a refused call', () => {
  const event = { object: { type: 'Event' } };
  it.each<{ title: string; record: Misuse; rule: Rule; level: Level; message: string }>([
    {
      title: 'the second close of a handle',
      record: misuse({ ...event, offending: closedAgain, opened, closed }),
      rule: 'double-close',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was closed again by CloseHandle at main (app.c:9).',
    },
    {
      title: 'the second close of several',
      record: misuse({ ...event, offending: closedAgain, opened, closed, count: 7, values: [0x1a8n, 0x1a4n] }),
      rule: 'double-close',
      level: 'error',
      message:
        'Event handles 0x1a4 and 0x1a8, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), were closed again by CloseHandle at main (app.c:9), 7 times.',
    },
    {
      title: 'a second close whose first was not seen',
      record: misuse({ ...event, offending: closedAgain, opened }),
      rule: 'double-close',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed out of sight of the recorder, was closed again by CloseHandle at main (app.c:9).',
    },
    {
      title: 'a second close of a socket whose first was not seen',
      record: misuse({
        object: { type: 'Socket' },
        offending: called('closesocket', ...mainBottom),
        opened: called('NtOpenFile', 'ws2_32!socket', ...mainBottom),
      }),
      rule: 'double-close',
      level: 'error',
      message:
        'Socket 0x1a4, opened at main (app.c:9) and closed out of sight of the recorder, was closed again by closesocket at main (app.c:9).',
    },
    {
      title: 'a second close whose opening was not seen',
      record: misuse({ offending: closedAgain, closed }),
      rule: 'double-close',
      level: 'error',
      message: 'Handle 0x1a4, closed at shut_gate (gate.c:21), was closed again by CloseHandle at main (app.c:9).',
    },
    {
      title: 'a use after the close',
      record: misuse({ ...event, kind: 'use', offending: used, opened, closed }),
      rule: 'use-after-close',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was used after that by SetEvent at main (app.c:9).',
    },
    {
      title: 'a use refused for an invalid handle, of a value that is open as far as was seen',
      record: misuse({
        ...event,
        kind: 'use',
        offending: called('NtReadFile', 'kernelbase!ReadFile', ...mainBottom),
        opened,
      }),
      rule: 'use-after-close',
      level: 'note',
      message:
        'ReadFile at main (app.c:9) was refused for an invalid handle. Event handle 0x1a4, opened at open_gate (gate.c:14), was not seen to be closed: another handle of the same call may be meant.',
    },
    {
      title: 'a duplication refused for an invalid handle, perhaps the process',
      record: misuse({
        ...event,
        offending: called('NtDuplicateObject', 'kernelbase!DuplicateHandle', ...mainBottom),
        opened,
      }),
      rule: 'double-close',
      level: 'note',
      message:
        'DuplicateHandle at main (app.c:9) was refused for an invalid handle. Event handle 0x1a4, opened at open_gate (gate.c:14), was not seen to be closed: another handle of the same call may be meant.',
    },
    {
      title: 'a close of garbage',
      record: misuse({ offending: closedAgain, values: [0xdeadbeefn] }),
      rule: 'invalid-close',
      level: 'warning',
      message: 'CloseHandle at main (app.c:9) was given 0xdeadbeef, which was never an open handle.',
    },
    {
      title: 'a close of NULL',
      record: misuse({ offending: closedAgain, values: [0n] }),
      rule: 'invalid-close',
      level: 'note',
      message: 'CloseHandle at main (app.c:9) was given NULL, which was never an open handle.',
    },
    {
      title: 'a close of -1, read as unsigned',
      record: misuse({ offending: closedAgain, values: [0xffff_ffff_ffff_ffffn], count: 2 }),
      rule: 'invalid-close',
      level: 'note',
      message:
        'CloseHandle at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle, 2 times.',
    },
    {
      title: 'a close of -1, read as signed',
      record: misuse({ offending: closedAgain, values: [-1n] }),
      rule: 'invalid-close',
      level: 'note',
      message: 'CloseHandle at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle.',
    },
    {
      title: 'a close of -1 that was cut to 32 bits',
      record: misuse({ offending: closedAgain, values: [0xffff_ffffn] }),
      rule: 'invalid-close',
      level: 'warning',
      message: 'CloseHandle at main (app.c:9) was given 0xffffffff, which was never an open handle.',
    },
    {
      title: 'a use of garbage',
      record: misuse({ kind: 'use', offending: used, values: [0x5550n, 0x5554n] }),
      rule: 'invalid-use',
      level: 'warning',
      message: 'SetEvent at main (app.c:9) was given 0x5550 and 0x5554, none of which was ever an open handle.',
    },
    {
      title: 'asking what garbage is',
      record: misuse({
        kind: 'use',
        offending: called('NtQueryVolumeInformationFile', 'kernelbase!GetFileType', ...mainBottom),
        values: [0x5550n],
      }),
      rule: 'invalid-use',
      level: 'note',
      message: 'GetFileType at main (app.c:9) was given 0x5550, which was never an open handle.',
    },
    {
      title: 'a call that does not fit the type',
      record: misuse({
        ...event,
        kind: 'use',
        status: 0xc0000024,
        offending: called('NtReleaseMutant', 'kernelbase!ReleaseMutex', ...mainBottom),
        opened,
      }),
      rule: 'wrong-type',
      level: 'warning',
      message:
        'ReleaseMutex at main (app.c:9) was given an Event handle (0x1a4), but the call works on another type of object.',
    },
    {
      title: 'a pseudo handle refused for its type',
      record: misuse({
        kind: 'use',
        status: 0xc0000024,
        offending: called('NtReadFile', 'kernelbase!ReadFile', ...mainBottom),
        values: [-1n],
      }),
      rule: 'invalid-use',
      level: 'note',
      message: 'ReadFile at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle.',
    },
    {
      title: 'a socket closed as a handle',
      record: misuse({
        object: { type: 'Socket' },
        kind: 'closed-as-handle',
        status: 0,
        offending: closedAgain,
        opened,
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Socket 0x1a4, opened at open_gate (gate.c:14), was closed by CloseHandle at main (app.c:9): it wants closesocket.',
    },
    {
      title: 'a key closed through a C runtime',
      record: misuse({
        object: { type: 'Key' },
        kind: 'closed-as-handle',
        status: 0,
        offending: called('NtClose', 'kernelbase!CloseHandle', 'msvcrt!_close', ...mainBottom),
        opened,
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Key handle 0x1a4, opened at open_gate (gate.c:14), was closed by _close at main (app.c:9): it wants RegCloseKey.',
    },
    {
      title: 'a descriptor’s handle closed beneath it',
      record: misuse({
        object: { type: 'File', wrapper: { type: 'Descriptor', value: 3n } },
        kind: 'closed-as-handle',
        status: 0,
        offending: closedAgain,
        opened,
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'File handle 0x1a4, opened at open_gate (gate.c:14), was closed by CloseHandle at main (app.c:9), beneath descriptor 3: it wants _close.',
    },
    {
      title: 'a FILE’s handle closed beneath it',
      record: misuse({
        object: { type: 'File', wrapper: { type: 'FILE', value: 0x7f0n } },
        kind: 'closed-as-handle',
        status: 0,
        offending: closedAgain,
        opened,
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'File handle 0x1a4, opened at open_gate (gate.c:14), was closed by CloseHandle at main (app.c:9), beneath the FILE 0x7f0: it wants fclose.',
    },
    {
      title: 'a search given to CloseHandle',
      record: misuse({ object: { type: 'Search' }, values: [0x7f0n], offending: closedAgain, opened }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Search handle 0x7f0, opened at open_gate (gate.c:14), was given to CloseHandle at main (app.c:9): it wants FindClose, and stayed open.',
    },
    {
      title: 'a descriptor closed twice',
      record: misuse({
        object: { type: 'Descriptor' },
        values: [3n],
        offending: called('_close', ...mainBottom),
        opened,
        closed,
      }),
      rule: 'double-close',
      level: 'error',
      message:
        'Descriptor 3, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was closed again by _close at main (app.c:9).',
    },
    {
      title: 'an event given to closesocket',
      record: misuse({
        ...event,
        status: 0xc0000024,
        offending: called('closesocket', 'ws2_32!closesocket', ...mainBottom),
        opened,
      }),
      rule: 'wrong-closer',
      level: 'error',
      message: 'An Event handle (0x1a4) was given to closesocket at main (app.c:9): it is no socket, and stayed open.',
    },
    {
      title: 'a stale close',
      record: misuse({
        ...event,
        offending: closedAgain,
        opened,
        closed,
        victim: { object: { type: 'File' }, opened: opened.stack },
      }),
      rule: 'stale-close',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was closed again by CloseHandle at main (app.c:9): it would have closed the File handle opened at open_gate (gate.c:14).',
    },
    {
      title: 'a stale use',
      record: misuse({
        ...event,
        kind: 'use',
        offending: used,
        opened,
        closed,
        victim: { object: { type: 'Socket' }, opened: opened.stack },
      }),
      rule: 'stale-use',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was used after that by SetEvent at main (app.c:9): it would have reached the socket opened at open_gate (gate.c:14).',
    },
    {
      title: 'the close of a protected handle',
      record: misuse({ ...event, status: 0xc0000235, offending: closedAgain, opened }),
      rule: 'protected-close',
      level: 'warning',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14), is protected from close and stayed open: the close by CloseHandle at main (app.c:9) was refused.',
    },
    {
      title: 'a close that the system made for itself',
      record: misuse({
        offending: called('NtClose', 'kernelbase!CreateProcessInternalW', 'kernelbase!CreateProcessW', ...mainBottom),
        values: [0x9990n],
      }),
      rule: 'invalid-close',
      level: 'note',
      message:
        'NtClose, made by kernelbase!CreateProcessW for itself (called at main (app.c:9)) was given 0x9990, which was never an open handle.',
    },
    {
      title: 'a second close on a thread of the system',
      record: misuse({
        ...event,
        offending: called('NtClose', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart'),
        opened,
        closed,
      }),
      rule: 'double-close',
      level: 'note',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14) and closed at shut_gate (gate.c:21), was closed again by NtClose, made by the system at rpcrt4.dll!NdrClientCall3.',
    },
  ])('$title: $rule, $level', ({ record, rule, level, message }) => {
    expect(only({ misuses: [record] })).toMatchObject({ rule, level, message, count: record.count });
  });

  it.each([
    [
      'closesocket, which Wine makes of CloseHandle',
      called('NtClose', 'kernelbase!CloseHandle', 'ws2_32!closesocket', ...mainBottom),
    ],
    [
      'RegLoadKey, of a key of its own',
      called('NtClose', 'kernelbase!CloseHandle', 'advapi32!RegLoadKeyW', ...mainBottom),
    ],
    [
      'a thread of Windows',
      called('NtClose', 'kernelbase!CloseHandle', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart'),
    ],
  ])('has nothing to say of a socket that is closed by %s', (_, offending) => {
    const record = misuse({ object: { type: 'Socket' }, kind: 'closed-as-handle', status: 0, offending, opened });
    expect(analyze({ open: [], misuses: [record] })).toEqual([]);
  });

  it.each([
    [
      'a C runtime, whose handle it is',
      called('NtClose', 'kernelbase!CloseHandle', 'msvcrt!_close', 'msvcrt!fclose', ...mainBottom),
    ],
    [
      'a C runtime at exit',
      called(
        'NtClose',
        'kernelbase!CloseHandle',
        'msvcrt!_close',
        'msvcrt!DllMain',
        'ntdll!LdrShutdownProcess',
        'ntdll!RtlExitUserProcess',
      ),
    ],
  ])('has nothing to say of a descriptor’s handle that is closed by %s', (_, offending) => {
    const record = misuse({
      object: { type: 'File', wrapper: { type: 'Descriptor', value: 3n } },
      kind: 'closed-as-handle',
      status: 0,
      offending,
      opened,
    });
    expect(analyze({ open: [], misuses: [record] })).toEqual([]);
  });

  it('is one finding when a handle is closed beneath its descriptor: the C runtime’s close is refused because of that', () => {
    const object = { type: 'File', wrapper: { type: 'Descriptor' as const, value: 3n } };
    const beneath = misuse({ object, kind: 'closed-as-handle', status: 0, offending: closed, opened });
    const refused = misuse({
      object,
      offending: called('NtClose', 'kernelbase!CloseHandle', 'msvcrt!_close', ...mainBottom),
      opened,
      closed,
    });
    expect(only({ misuses: [beneath, refused] }).rule).toBe('wrong-closer');
    // Where the first close was made by another call, that is not known, and both are worth telling.
    expect(only({ misuses: [{ ...refused, closed: called('NtClose', ...mainBottom) }] }).rule).toBe('double-close');
  });

  it('has three stacks for a double close', () => {
    const { stacks } = only({
      misuses: [misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed })],
    });
    expect(stacks.opened?.[1]?.function).toBe('open_gate');
    expect(stacks.closed?.[1]?.function).toBe('shut_gate');
    expect(stacks.offending?.[1]?.function).toBe('main');
  });

  it('is one finding when two closes race, whichever comes first, with the more frequent order shown', () => {
    const one = misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed, count: 2 });
    const other = misuse({ object: { type: 'Event' }, offending: closed, opened, closed: closedAgain, count: 5 });
    const finding = only({ misuses: [one, other] });
    expect(finding.count).toBe(7);
    expect(finding.stacks.offending?.[1]?.function).toBe('shut_gate');
    expect(only({ misuses: [one] }).fingerprint).toBe(only({ misuses: [other] }).fingerprint);
  });
});

describe('findings', () => {
  const evidence: Evidence = {
    open: [
      openSite({ opened, count: 3 }),
      openSite({
        opened: called('NtCreateFile', 'kernelbase!CreateFileW', ...mainBottom),
        object: { type: 'File' },
        count: 9,
      }),
      openSite({
        opened: called('NtCreateFile', 'kernelbase!CreateFileW', 'app!other', ...mainBottom),
        object: { type: 'File' },
        count: 60,
      }),
      openSite({ opened: { ...opened, timeMs: 1 }, count: 2, siblingsClosedAt: closed.stack }),
      openSite({ opened: bySystem, object: { type: 'File' } }),
    ],
    misuses: [
      misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed }),
      misuse({ object: { type: 'Event' }, offending: closed, opened, closed: closedAgain }),
      misuse({ kind: 'use', offending: used, values: [0x5550n] }),
      misuse({ offending: closedAgain, values: [0n] }),
    ],
  };

  it('come errors first, then by rule, then the most frequent first', () => {
    expect(analyze(evidence).map(({ level, rule, count }) => `${level} ${rule} ${count}`)).toEqual([
      'error double-close 2',
      'error leak 60',
      'error leak 5',
      'warning invalid-use 1',
      'warning leak 9',
      'note invalid-close 1',
      'note leak 1',
    ]);
  });

  it('do not depend on the order of the evidence', () => {
    const expected = analyze(evidence);
    for (let seed = 1; seed <= 200; seed += 1) {
      expect(analyze({ open: shuffled(evidence.open, seed), misuses: shuffled(evidence.misuses, seed + 7) })).toEqual(
        expected,
      );
    }
  });

  it('have fingerprints of 16 hexadecimal digits, no two alike', () => {
    const prints = analyze(evidence).map((finding) => finding.fingerprint);
    expect(new Set(prints).size).toBe(prints.length);
    for (const print of prints) expect(print).toMatch(/^[0-9a-f]{16}$/);
  });

  it('count every handle and every refused call exactly once', () => {
    const total = analyze(evidence).reduce((sum, finding) => sum + finding.count, 0);
    const expected = [...evidence.open, ...evidence.misuses].reduce((sum, record) => sum + record.count, 0);
    expect(total).toBe(expected);
  });

  it('of no evidence are none', () => {
    expect(analyze({ open: [], misuses: [] })).toEqual([]);
  });
});

/** Fisher and Yates' shuffle over a small linear congruential generator: the same for the same seed. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items];
  let state = seed;
  for (let index = result.length - 1; index > 0; index -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (index + 1);
    [result[index], result[other]] = [result[other]!, result[index]!];
  }
  return result;
}
