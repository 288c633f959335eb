import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Level, Rule } from '../../../src/model.ts';
import type { Misuse } from '../../../src/evidence-model.ts';
import { closed, closedAgain, onlyFinding, opened } from './calls.ts';
import { called, mainBottom, misuse, openSite } from './evidence.ts';

/** An object that was given to a function which closes another kind, and refused it. */
const given = (parts: Parameters<typeof misuse>[0]) =>
  misuse({ kind: 'wrong-closer', outcome: 'stayed-open', opened, ...parts });

const event = { object: { type: 'Event' } };

describe('a call that does not suit the object', () => {
  it.each<{ title: string; record: Misuse; rule: Rule; level: Level; message: string }>([
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
      title: 'a question whether a file is a socket',
      record: misuse({
        object: { type: 'File' },
        kind: 'use',
        status: 0xc0000024,
        offending: called('getsockopt', ...mainBottom),
      }),
      rule: 'wrong-type',
      level: 'note',
      message:
        'Getsockopt at main (app.c:9) was given a File handle (0x1a4), but the call works on another type of object.',
    },
    {
      title: 'a call that does not fit an object of an unknown type',
      record: misuse({
        kind: 'use',
        status: 0xc0000024,
        offending: called('NtReleaseMutant', 'kernelbase!ReleaseMutex', ...mainBottom),
      }),
      rule: 'wrong-type',
      level: 'note',
      message:
        'ReleaseMutex at main (app.c:9) was given a handle (0x1a4), but the call works on another type of object.',
    },
    {
      title: 'a standard handle that is refused as invalid',
      record: misuse({
        object: { type: 'File' },
        openedUnseen: true,
        kind: 'use',
        status: 0xc0000008,
        offending: called('NtDeviceIoControlFile', 'kernelbase!SetConsoleMode', ...mainBottom),
      }),
      rule: 'use-after-close',
      level: 'note',
      message:
        'SetConsoleMode at main (app.c:9) was refused for an invalid handle. File handle 0x1a4 was not seen to be closed: another handle of the same call may be meant.',
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
      record: given({ object: { type: 'Search' }, values: [0x7f0n], offending: closedAgain }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Search handle 0x7f0, opened at open_gate (gate.c:14), was given to CloseHandle at main (app.c:9): it wants FindClose, and stayed open.',
    },
    {
      title: 'an event given to closesocket',
      record: given({ ...event, status: 0xc0000024, offending: called('closesocket', ...mainBottom) }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14), was given to closesocket at main (app.c:9): it wants CloseHandle, and stayed open.',
    },
    {
      title: 'a descriptor that crashed fclose',
      record: given({
        object: { type: 'Descriptor' },
        values: [3n],
        outcome: 'never-returned',
        offending: called('fclose', ...mainBottom),
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Descriptor 3, opened at open_gate (gate.c:14), was given to fclose at main (app.c:9): it wants _close, and the call never returned.',
    },
    {
      title: 'events that RegCloseKey closed',
      record: given({
        ...event,
        values: [0x1a4n, 0x1a8n],
        count: 2,
        outcome: 'closed',
        offending: called('RegCloseKey', ...mainBottom),
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'Event handles 0x1a4 and 0x1a8, opened at open_gate (gate.c:14), were closed by RegCloseKey at main (app.c:9), 2 times: they want CloseHandle.',
    },
    {
      title: 'the handle of a descriptor in its place',
      record: given({
        object: { type: 'File', wrapper: { type: 'Descriptor', value: 3n } },
        opened: called('NtCreateFile', 'kernelbase!CreateFileW', 'msvcrt!_open', 'app!open_gate @gate.c:14'),
        offending: called('_close', ...mainBottom),
      }),
      rule: 'wrong-closer',
      level: 'error',
      message:
        'File handle 0x1a4, opened at open_gate (gate.c:14), was given to _close at main (app.c:9): _close wants descriptor 3 in its place, and stayed open.',
    },
    {
      title: 'a change notification that CloseHandle closed',
      record: misuse({
        object: { type: 'File', wrapper: { type: 'ChangeNotification' } },
        kind: 'closed-as-handle',
        status: 0,
        offending: closedAgain,
        opened,
      }),
      rule: 'wrong-closer',
      level: 'warning',
      message:
        'File handle 0x1a4, opened at open_gate (gate.c:14), was closed by CloseHandle at main (app.c:9): it wants FindCloseChangeNotification.',
    },
    {
      title: 'a handle of Windows that happens to have the number',
      record: given({
        ...event,
        opened: called('NtCreateEvent', 'kernelbase!CreateEventW', 'rpcrt4!NdrClientCall3', 'ntdll!RtlUserThreadStart'),
        offending: called('_close', ...mainBottom),
      }),
      rule: 'invalid-close',
      level: 'warning',
      message: '_close at main (app.c:9) was given 0x1a4, which is a handle that the program had not opened.',
    },
  ])('$title: $rule, $level', ({ record, rule, level, message }) => {
    expect(onlyFinding({ misuses: [record] })).toMatchObject({ rule, level, message, count: record.count });
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

  describe('a number that is both a descriptor and a handle', () => {
    const beside = given({ object: { type: 'Descriptor' }, values: [8n], offending: closedAgain });
    const bySystem = called('NtCreateEvent', 'kernelbase!CreateEventW', 'ntdll!RtlUserThreadStart');
    const handle = { ...event, values: [8n], offending: closedAgain, opened };

    it.each<[title: string, other: Misuse, rules: readonly Rule[]]>([
      ['a handle of the program that was closed', misuse({ ...handle, closed }), ['double-close']],
      [
        'a handle of Windows that was closed',
        misuse({ ...handle, opened: bySystem, closed: called('NtClose', 'ntdll!RtlUserThreadStart') }),
        ['wrong-closer'],
      ],
      ['an open handle of the program', misuse({ ...handle, kind: 'closed-as-handle', status: 0 }), []],
      [
        'an open handle of Windows',
        misuse({ ...handle, opened: bySystem, kind: 'closed-as-handle', status: 0 }),
        ['wrong-closer'],
      ],
      ['a protected handle of Windows', misuse({ ...handle, opened: bySystem, status: 0xc0000235 }), ['wrong-closer']],
    ])('that CloseHandle was given: %s', (_, other, rules) => {
      expect(analyze({ open: [], misuses: [beside, other] }).map(({ rule }) => rule)).toEqual(rules);
    });

    it('is the descriptor where its low bits are not those of a handle', () => {
      const odd = { ...beside, values: [9n] };
      const other = misuse({ ...handle, values: [9n], kind: 'closed-as-handle', status: 0 });
      expect(onlyFinding({ misuses: [odd, other] })).toMatchObject({ rule: 'wrong-closer', handles: [9n] });
    });
  });

  it('has nothing to say of a duplicate that may be a change notification', () => {
    const record = given({
      object: { type: 'File' },
      outcome: 'closed',
      opened: called('NtDuplicateObject', 'kernelbase!DuplicateHandle', ...mainBottom),
      offending: called('FindCloseChangeNotification', ...mainBottom),
    });
    expect(analyze({ open: [], misuses: [record] })).toEqual([]);
  });

  it.each<[title: string, values: readonly bigint[], level: Level]>([
    ['one number after the other is a note: it loops over descriptors', [3n, 5n, 6n, 7n], 'note'],
    ['numbers with gaps is a warning', [3n, 5n, 6n, 9n], 'warning'],
    ['fewer numbers in a row is a warning', [3n, 4n, 5n], 'warning'],
    ['numbers in a row, though not in order, is a note', [6n, 3n, 5n, 7n], 'note'],
    ['handles in a row is a warning', [4n, 8n, 12n, 16n, 20n], 'warning'],
    ['-1 is a note', [-1n], 'note'],
    ['the numbers of standard streams is a note', [1n, 2n], 'note'],
  ])('a place that closes %s', (_, values, level) => {
    const close = called('_close', ...mainBottom);
    const handle = given({ ...event, values: [4n], offending: close });
    const numbers = misuse({ object: { type: 'Descriptor' }, values, offending: close });
    const findings = analyze({
      open: [],
      misuses: level === 'note' && values.length > 2 ? [numbers, handle] : [numbers],
    });
    expect([...new Set(findings.map((each) => `${each.rule} ${each.level}`))]).toEqual([`invalid-close ${level}`]);
  });

  describe('the leak that follows', () => {
    const site = openSite({ ...event, count: 3, opened, givenToWrongCloser: true });
    const forgotten = openSite({ ...event, count: 2, opened });
    const refused = given({ ...event, offending: called('_close', ...mainBottom) });

    it('is no finding of its own', () => {
      expect(onlyFinding({ open: [site], misuses: [refused] }).rule).toBe('wrong-closer');
    });

    it('counts only the handles that were given to no closer at all', () => {
      const found = analyze({ open: [site, forgotten], misuses: [refused] });
      expect(found.map(({ rule, count }) => [rule, count])).toEqual([
        ['wrong-closer', 1],
        ['leak', 2],
      ]);
    });

    it('counts all handles where no wrong closer is accused', () => {
      const loop = { ...refused, values: [4n, 5n, 6n, 7n] };
      const found = analyze({ open: [site, forgotten], misuses: [loop] });
      expect(found.map(({ rule, level, count }) => [rule, level, count])).toEqual([
        ['leak', 'warning', 5],
        ['invalid-close', 'note', 1],
      ]);
    });
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
    expect(onlyFinding({ misuses: [beneath, refused] }).rule).toBe('wrong-closer');
    // When another call made the first close, the connection is not known, and both are worth a finding.
    expect(onlyFinding({ misuses: [{ ...refused, closed: called('NtClose', ...mainBottom) }] }).rule).toBe(
      'double-close',
    );
  });
});

describe('an object that the program opened by a system call of its own', () => {
  it.each(['Socket', 'Key'])('may be closed by CloseHandle, be it a %s', (type) => {
    const record = misuse({
      object: { type },
      kind: 'closed-as-handle',
      status: 0,
      offending: closedAgain,
      opened: called('NtCreateFile', 'app!open_gate @src\\gate.c:14', ...mainBottom),
    });
    expect(analyze({ open: [], misuses: [record] })).toEqual([]);
  });
});
