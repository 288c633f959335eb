import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Level, Misuse, Rule } from '../../../src/model.ts';
import { closed, closedAgain, onlyFinding, opened } from './calls.ts';
import { called, mainBottom, misuse } from './evidence.ts';

/** An object that was given to a function which closes another kind, and refused it. */
const given = (parts: Parameters<typeof misuse>[0]) =>
  misuse({ kind: 'wrong-closer', outcome: 'stayed-open', opened, ...parts });

describe('a call that does not suit the object', () => {
  const event = { object: { type: 'Event' } };
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
