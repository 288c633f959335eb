import { describe, expect, it } from 'vitest';
import type { Level, Rule } from '../../../src/model.ts';
import type { Misuse } from '../../../src/evidence-model.ts';
import { closed, closedAgain, onlyFinding, opened } from './calls.ts';
import { called, mainBottom, misuse } from './evidence.ts';

describe('a close that is refused', () => {
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
      title: 'the close of a protected handle',
      record: misuse({ ...event, status: 0xc0000235, offending: closedAgain, opened }),
      rule: 'protected-close',
      level: 'warning',
      message:
        'Event handle 0x1a4, opened at open_gate (gate.c:14), is protected from close and stayed open: the close by CloseHandle at main (app.c:9) was refused.',
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
    expect(onlyFinding({ misuses: [record] })).toMatchObject({ rule, level, message, count: record.count });
  });

  it('has three stacks for a double close', () => {
    const { stacks } = onlyFinding({
      misuses: [misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed })],
    });
    expect(stacks.opened?.[1]?.function).toBe('open_gate');
    expect(stacks.closed?.[1]?.function).toBe('shut_gate');
    expect(stacks.offending?.[1]?.function).toBe('main');
  });

  it('is one finding when two closes race, whichever comes first, with the more frequent order shown', () => {
    const one = misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed, count: 2 });
    const other = misuse({ object: { type: 'Event' }, offending: closed, opened, closed: closedAgain, count: 5 });
    const finding = onlyFinding({ misuses: [one, other] });
    expect(finding.count).toBe(7);
    expect(finding.stacks.offending?.[1]?.function).toBe('shut_gate');
    expect(onlyFinding({ misuses: [one] }).fingerprint).toBe(onlyFinding({ misuses: [other] }).fingerprint);
  });
});
