import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { HandleObject, Level, Wrapper } from '../../../src/model.ts';
import type { OpenSite } from '../../../src/evidence-model.ts';
import { beforeMain, byFopen, bySystem, closed, closedAgain, onlyFinding, opened } from './calls.ts';
import { called, mainBottom, misuse, openSite } from './evidence.ts';

function file(wrapper: Wrapper): HandleObject {
  return { type: 'File', wrapper };
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
        'One FILE opened at main (app.c:9) is still open: the program made it a standard stream, which lasts as long as the process.',
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
    expect(onlyFinding({ open: [openSite(site)] })).toMatchObject({
      rule: 'leak',
      level,
      message,
      count: site.count ?? 1,
    });
  });

  const socket = called('NtOpenFile', 'ws2_32!socket', 'app!open_gate @src\\gate.c:14', ...mainBottom);
  const sweptSite = openSite({ opened: socket, object: { type: 'Socket' }, count: 2, sweptBy: 'WSACleanup' });

  it.each<{ title: string; open: readonly OpenSite[]; level: Level; message: string }>([
    {
      title: 'all were left for a function to close',
      open: [sweptSite],
      level: 'warning',
      message:
        '2 sockets opened at open_gate (gate.c:14) were left for WSACleanup to close; none from this site was ever closed.',
    },
    {
      title: 'some are open still',
      open: [sweptSite, openSite({ opened: socket, object: { type: 'Socket' }, siblingsClosedAt: closed.stack })],
      level: 'error',
      message:
        '3 sockets opened at open_gate (gate.c:14) are still open or were left for WSACleanup to close; others from this site are closed at shut_gate (gate.c:21).',
    },
  ])('says who closed the handles in the end where $title', ({ open, level, message }) => {
    expect(onlyFinding({ open })).toMatchObject({ rule: 'leak', level, message });
  });

  it('is not claimed of a handle of Windows that a function for leftovers closed', () => {
    const own = called('NtOpenFile', 'ws2_32!getaddrinfo', ...mainBottom);
    expect(analyze({ open: [openSite({ ...sweptSite, opened: own })], misuses: [] })).toEqual([]);
  });

  it('is not claimed of a handle that the program closes after such a function did', () => {
    const record = misuse({
      object: { type: 'FILE' },
      opened: called('fopen', 'app!open_gate @src\\gate.c:14', ...mainBottom),
      closed: called('_fcloseall', 'ntdll!NtClose', 'msvcrt!_fcloseall', ...mainBottom),
      offending: called('fclose', ...mainBottom),
    });
    const stream = called('NtCreateFile', 'msvcrt!fopen', 'app!open_gate @src\\gate.c:14', ...mainBottom);
    const left = openSite({ opened: stream, object: { type: 'File' }, sweptBy: '_fcloseall' });
    expect(onlyFinding({ open: [left], misuses: [record] }).rule).toBe('double-close');
    const rules = analyze({ open: [{ ...left, count: 3 }], misuses: [record] }).map(({ rule, count }) => [rule, count]);
    expect(rules.toSorted()).toEqual([
      ['double-close', 1],
      ['leak', 2],
    ]);
  });

  it.each([
    ['is not claimed of the process of a child whose stream is left open', '_popen', 1, ['File']],
    ['is claimed of the processes of children whose streams are closed', '_wpopen', 2, ['File', 'Process']],
    ['is claimed of the process of a child that has no stream', '_wspawnv', 1, ['Process']],
  ])('%s', (_title, api, processes, types) => {
    const openedBy = (call: string) => called(call, `msvcrt!${api}`, 'app!ask @ask.c:3', ...mainBottom);
    const wrapper = { type: 'FILE', value: 0x7f0n } as const;
    const open = [
      openSite({ opened: openedBy('NtCreateNamedPipeFile'), object: { type: 'File', wrapper } }),
      openSite({ opened: openedBy('NtCreateUserProcess'), object: { type: 'Process' }, count: processes }),
    ];
    const found = analyze({ open, misuses: [] }).filter(({ level }) => level !== 'note');
    expect(found.map(({ object }) => object.type).toSorted()).toEqual(types);
  });

  it('is not claimed of a handle that the program did not open', () => {
    expect(analyze({ open: [openSite({ count: 500 })], misuses: [] })).toEqual([]);
  });

  it('shows one place where its siblings are closed, the same one in every run', () => {
    const sites = [
      openSite({ opened, siblingsClosedAt: closed.stack }),
      openSite({ opened, count: 2, siblingsClosedAt: closedAgain.stack }),
    ];
    const shown = onlyFinding({ open: sites }).stacks.siblingsClosed;
    expect(shown?.[0]?.function).toBe('CloseHandle');
    expect(onlyFinding({ open: [...sites].reverse() }).stacks.siblingsClosed).toEqual(shown);
  });

  it('is one finding for all openings from the same functions, and lists their lines', () => {
    const elsewhere = called(
      'NtCreateEvent',
      'kernelbase!CreateEventW+0x99',
      'app!open_gate+0x44 @src\\gate.c:9',
      ...mainBottom,
    );
    const finding = onlyFinding({
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
    const finding = onlyFinding({ open: [openSite({ opened, count: 30 }), openSite({ opened, count: 4 })] });
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
    expect(onlyFinding({ open: [site(['C:\\a.log', 'C:\\b.log'])] })).toMatchObject({
      object: { type: 'File' },
      objects: [{ name: 'C:\\a.log' }, { name: 'C:\\b.log' }],
    });
    const alike = onlyFinding({ open: [site(['C:\\a.log', 'C:\\a.log'])] });
    expect(alike.object).toEqual({ type: 'File', name: 'C:\\a.log' });
    expect(alike).not.toHaveProperty('objects');
  });
});
