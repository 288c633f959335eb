import { describe, expect, it } from 'vitest';

import { analyze } from '../../../src/analyze/index.ts';
import type { Finding } from '../../../src/model.ts';
import type { Inheritance } from '../../../src/evidence-model.ts';
import { called, mainBottom } from './evidence.ts';

const openLog = called(
  'NtCreateFile',
  'ntdll!NtCreateFile',
  'kernelbase!CreateFileW',
  'app!open_log @log.c:12',
  ...mainBottom,
);
const createProcess = called(
  'NtCreateUserProcess',
  'ntdll!NtCreateUserProcess',
  'kernelbase!CreateProcessW',
  'app!start_worker @work.c:30',
  ...mainBottom,
);
const spawn = called(
  'NtCreateUserProcess',
  'ntdll!NtCreateUserProcess',
  'kernelbase!CreateProcessW',
  'msvcrt!_wspawnl',
  'app!start_worker @work.c:30',
  ...mainBottom,
);

function inheritance(parts: Partial<Inheritance> = {}): Inheritance {
  return {
    count: 1,
    handles: [{ value: 0x40n, object: { type: 'File' } }],
    opened: openLog,
    started: createProcess,
    ...parts,
  };
}

function judge(...inheritedByChildren: readonly Inheritance[]): readonly Finding[] {
  return analyze({ open: [], misuses: [], inheritedByChildren });
}

describe('a handle that a child inherited', () => {
  it('is a note that says where it was opened and where the child was started', () => {
    expect(judge(inheritance())).toMatchObject([
      {
        rule: 'inherited',
        level: 'note',
        count: 1,
        object: { type: 'File' },
        handles: [0x40n],
        message:
          'File handle 0x40, opened at open_log (log.c:12), was inherited unasked by what CreateProcessW at start_worker (work.c:30) started.',
        stacks: {
          opened: expect.arrayContaining([expect.objectContaining({ function: 'open_log' })]),
          offending: expect.arrayContaining([expect.objectContaining({ function: 'start_worker' })]),
        },
      },
    ]);
  });

  it('is counted once for each handle and child, and has its name where it is known', () => {
    const handles = [
      { value: 0x44n, object: { type: 'File' } },
      { value: 0x40n, object: { type: 'File', name: 'C:\\a.log' } },
    ];
    const [finding] = judge(inheritance({ count: 6, handles }));
    expect(finding).toMatchObject({ count: 6, handles: [0x40n, 0x44n], objects: [{ name: 'C:\\a.log' }, {}] });
    expect(finding?.message).toBe(
      'File handles 0x40 and 0x44, opened at open_log (log.c:12), were inherited unasked by what CreateProcessW at start_worker (work.c:30) started, 6 times.',
    );
  });

  it('is a warning when a child kept it after the program had closed its own', () => {
    const closed = called('NtClose', 'ntdll!NtClose', 'kernelbase!CloseHandle', 'app!rotate @log.c:20', ...mainBottom);
    const child = { pid: 48, image: 'C:\\worker.exe' };
    const object = { type: 'File', name: '\\\\.\\pipe\\jobs' };
    const kept = { value: 0x40n, object, child, closed, keptMs: 3200, untilEnd: false };
    const [finding] = judge(inheritance({ kept: [{ ...kept, keptMs: 5, child: { ...child, pid: 52 } }, kept] }));
    expect(finding?.level).toBe('warning');
    expect(finding?.stacks.closed?.map((frame) => frame.function)).toContain('rotate');
    expect(finding?.message).toContain(
      ' started. The program closed its own at rotate (log.c:20), but process 48 (worker.exe) kept it open and still does, for 3.2 s: meanwhile who reads from the other end of the pipe waits for its end. 1 more did likewise.',
    );
  });

  it('is one finding for a site that opened it, a type and a site that started the child', () => {
    const elsewhere = called(
      'NtCreateUserProcess',
      'ntdll!NtCreateUserProcess',
      'kernelbase!CreateProcessW',
      'app!start_other @work.c:70',
      ...mainBottom,
    );
    const other = [{ value: 0x48n, object: { type: 'Unknown' } }];
    const sameSite = called(
      'NtCreateFile',
      'ntdll!NtCreateFile',
      'kernelbase!CreateFileW',
      'app!open_log @log.c:14',
      ...mainBottom,
    );
    const findings = judge(
      inheritance(),
      inheritance({ opened: sameSite }),
      inheritance({ started: elsewhere }),
      inheritance({ handles: other }),
    );
    expect(findings.map(({ count, object }) => [object.type, count]).toSorted()).toEqual([
      ['File', 1],
      ['File', 2],
      ['Unknown', 1],
    ]);
    expect(new Set(findings.map(({ fingerprint }) => fingerprint)).size).toBe(3);
  });

  it('has the same fingerprint whatever its value, its name and its count are', () => {
    const [first] = judge(inheritance());
    const [second] = judge(
      inheritance({ count: 9, handles: [{ value: 0x1c0n, object: { type: 'File', name: 'C:\\b.log' } }] }),
    );
    expect(second?.fingerprint).toBe(first?.fingerprint);
  });

  it('is no fault when the child was given it as a descriptor, unless a C runtime passes on all of them', () => {
    expect(judge(inheritance({ asDescriptor: true }))).toEqual([]);
    expect(judge(inheritance({ asDescriptor: true, started: spawn }))).toMatchObject([
      { level: 'note', message: expect.stringContaining('by what _wspawnl at start_worker') },
    ]);
  });

  it.each<[string, Partial<Inheritance>]>([
    [
      'the system opened for itself',
      {
        opened: called(
          'NtCreateFile',
          'ntdll!NtCreateFile',
          'ws2_32!WSAStartup',
          'app!open_log @log.c:12',
          ...mainBottom,
        ),
      },
    ],
    [
      'was opened before main',
      {
        opened: called(
          'NtCreateFile',
          'ntdll!NtCreateFile',
          'kernelbase!CreateFileW',
          'app!init',
          'app!__do_global_ctors',
          'app!__main',
          ...mainBottom,
        ),
      },
    ],
    [
      '_popen opened for the child',
      {
        opened: called(
          'NtDuplicateObject',
          'ntdll!NtDuplicateObject',
          'kernelbase!DuplicateHandle',
          'msvcrt!_popen',
          'app!open_log',
          ...mainBottom,
        ),
      },
    ],
    ['was opened in an unknown place', { opened: called('NtCreateFile') }],
    [
      'the system handed on by a start of its own',
      {
        started: called(
          'NtCreateUserProcess',
          'ntdll!NtCreateUserProcess',
          'kernelbase!CreateProcessW',
          'kernel32!BaseThreadInitThunk',
          'ntdll!RtlUserThreadStart',
        ),
      },
    ],
    ['was handed on in an unknown place', { started: called('NtCreateUserProcess') }],
  ])('is no finding when it is one that %s', (_what, parts) => {
    expect(judge(inheritance(parts))).toEqual([]);
  });
});
