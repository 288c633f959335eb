import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import { trimStack } from '../../../src/analyze/stacks.ts';
import type { Stack } from '../../../src/model.ts';
import type { Closing, EarlierLife, Evidence, Misuse } from '../../../src/evidence-model.ts';
import { onlyFinding } from './calls.ts';
import { called, mainBottom, misuse, stack } from './evidence.ts';

const by = (...frames: readonly string[]): Stack => stack('kernelbase!CreateEventW', ...frames, ...mainBottom);
const closing = (...frames: readonly string[]): Stack => stack('kernelbase!CloseHandle', ...frames, ...mainBottom);

/**
 * The log's owner closed it twice, the second time when its value had been given out for the event of a request. Others
 * of those are closed by finish.
 */
const logOpened = by('app!open_log @log.c:5');
const logClosed = closing('app!close_log @log.c:9', 'app!stop @app.c:20');
const logClosedAgain = called(
  'NtClose',
  'kernelbase!CloseHandle',
  'app!close_log @log.c:9',
  'app!rotate @app.c:30',
  ...mainBottom,
);
const requestOpened = called(
  'NtCreateEvent',
  'kernelbase!CreateEventW',
  'app!begin @request.c:3',
  'app!serve',
  ...mainBottom,
);
const requestClosed = closing('app!finish @request.c:7', 'app!serve');
const refusedUse = called('NtSetEvent', 'kernelbase!SetEvent', 'app!finish @request.c:6', 'app!serve', ...mainBottom);
const refusedClose = called('NtClose', 'kernelbase!CloseHandle', 'app!finish @request.c:7', 'app!serve', ...mainBottom);

const log: EarlierLife = { object: { type: 'File' }, opened: logOpened, closed: logClosed };
const usualRequest: Closing = { opened: requestOpened.stack, closed: requestClosed };
const refusal = misuse({
  object: { type: 'Event' },
  offending: refusedClose,
  opened: requestOpened,
  closed: logClosedAgain,
  earlierLives: [log],
});
const lastCloses: readonly Closing[] = [
  { opened: logOpened, closed: logClosed },
  { opened: requestOpened.stack, closed: logClosedAgain.stack },
  usualRequest,
];

function evidenceOf(change: Partial<Misuse> = {}, closings: readonly Closing[] = lastCloses): Evidence {
  return { open: [], misuses: [{ ...refusal, ...change }], closings };
}

describe('a stale close that was carried out', () => {
  it('is one finding with all that its victim’s owner was refused for', () => {
    const use = { ...refusal, kind: 'use' as const, offending: refusedUse, count: 3 };
    const later = { ...refusal, offending: { ...refusedClose, timeMs: 130 } };
    const finding = onlyFinding({ misuses: [later, use], closings: lastCloses });
    expect(onlyFinding({ misuses: [use, later], closings: lastCloses })).toEqual(finding);
    expect(finding).toMatchObject({ rule: 'stale-close', level: 'warning', count: 1, object: { type: 'File' } });
    expect(finding.message).toBe(
      'File handle 0x1a4, opened at open_log (log.c:5) and closed at close_log (log.c:9), was probably closed again by CloseHandle at close_log (log.c:9): that closed the Event handle opened at begin (request.c:3), which SetEvent at finish (request.c:6) then found closed. Run with --quarantine to be certain.',
    );
    expect(finding.stacks).toEqual({
      opened: trimStack(logOpened),
      closed: trimStack(logClosed),
      offending: trimStack(logClosedAgain.stack),
      victim: trimStack(requestOpened.stack),
    });
  });

  it('has the fingerprint that it has with a quarantine, where it is certain', () => {
    const certain = misuse({
      object: { type: 'File' },
      offending: logClosedAgain,
      opened: { stack: logOpened },
      closed: { stack: logClosed },
      victim: { object: { type: 'Event' }, opened: requestOpened.stack },
    });
    const { fingerprint } = onlyFinding(evidenceOf());
    expect(onlyFinding({ misuses: [certain] })).toMatchObject({ rule: 'stale-close', level: 'error', fingerprint });
  });

  const twoValues = [
    { ...refusal, values: [0x40n] },
    { ...refusal, values: [0x44n], offending: refusedUse, kind: 'use' as const },
  ];
  it('counts once for each value that it hit, and for each refused close', () => {
    expect(onlyFinding({ misuses: twoValues, closings: lastCloses }).count).toBe(2);
    const often = twoValues.map((each) => ({ ...each, count: each.kind === 'close' ? 3 : 9 }));
    expect(onlyFinding({ misuses: often, closings: lastCloses }).count).toBe(3);
  });

  it('may have been meant for a life before others', () => {
    const between = { object: { type: 'Event' }, ...usualRequest };
    expect(onlyFinding(evidenceOf({ earlierLives: [between, log] }, [])).rule).toBe('stale-close');
  });

  /** The event of main, which a destructor of another object closes; before, `owner` closed a file in begin. */
  const scoped = (
    path: readonly string[],
    opener: readonly string[] = [],
    owner: readonly string[] = ['app!Sink::~Sink @s.cpp:9'],
  ): Evidence =>
    evidenceOf(
      {
        opened: called('NtCreateEvent', 'kernelbase!CreateEventW', ...opener, ...mainBottom),
        closed: called('NtClose', 'kernelbase!CloseHandle', ...path, ...mainBottom),
        offending: called('NtSetEvent', 'kernelbase!SetEvent', ...mainBottom),
        kind: 'use',
        earlierLives: [{ ...log, closed: closing(...owner, 'app!begin') }],
      },
      [],
    );

  it.each<[what: string, path: readonly string[]]>([
    ['a destructor', ['app!Sink::~Sink @s.cpp:9', 'app!Session::~Session']],
    ['MSVC’s deleting destructor', ['app!Sink::~Sink @s.cpp:9', "app!Session::`scalar deleting destructor'"]],
    [
      'a smart pointer',
      ['app!Sink::~Sink @s.cpp:9', 'app!Session::~Session', 'app!std::default_delete<Session>::operator()'],
    ],
  ])('is seen where %s of an object led to it, of which the victim’s code knows nothing', (_what, path) => {
    expect(onlyFinding(scoped(path))).toMatchObject({ rule: 'stale-close', level: 'warning' });
  });

  it.each<[what: string, evidence: Evidence]>([
    ['the victim’s own scope ends', scoped(['app!Sink::~Sink @s.cpp:9'])],
    ['a function was given it', scoped(['app!Sink::~Sink @s.cpp:9', 'app!consume'])],
    [
      'the owner is a class of a library, which leaves nothing behind',
      scoped(
        ['app!Closer::operator() @s.cpp:2', 'app!std::unique_ptr<void, Closer>::~unique_ptr', 'app!Session::~Session'],
        [],
        ['app!Closer::operator() @s.cpp:2', 'app!std::unique_ptr<void, Closer>::~unique_ptr'],
      ),
    ],
    ['its own class closes it', scoped(['app!Sink::~Sink @s.cpp:9', 'app!Job::~Job'], ['app!Job::Job'])],
    ['the closing class also opened it', scoped(['app!Sink::~Sink @s.cpp:9', 'app!Job::~Job'], ['app!Sink::open'])],
  ])('is not, when %s', (_what, evidence) => {
    expect(onlyFinding(evidence)).toMatchObject({ rule: 'use-after-close', level: 'error' });
  });
});

describe('a socket that its owner closes twice, when the value stands for an event', () => {
  const path = ['app!Conn::shut @net.cpp:4', 'app!Conn::~Conn @net.cpp:8'];
  const again = called('closesocket', 'ws2_32!closesocket', ...path, ...mainBottom);
  const conn: EarlierLife = {
    object: { type: 'Socket' },
    opened: by('app!connect @net.cpp:2'),
    closed: stack('ws2_32!closesocket', ...path, 'app!begin', ...mainBottom),
  };
  const given = misuse({
    kind: 'wrong-closer',
    outcome: 'stayed-open',
    object: { type: 'Event' },
    offending: again,
    opened: requestOpened,
    earlierLives: [conn],
  });

  it('is a stale close, and not the wrong closer for the event', () => {
    const finding = onlyFinding({ misuses: [given], closings: [] });
    expect(finding).toMatchObject({ rule: 'stale-close', level: 'warning', object: { type: 'Socket' } });
    expect(finding.message).toBe(
      'Socket 0x1a4, opened at connect (net.cpp:2) and closed at Conn::shut (net.cpp:4), was probably closed again by closesocket at Conn::shut (net.cpp:4): by then it was the value of the Event handle opened at begin (request.c:3). Run with --quarantine to be certain.',
    );
  });

  it('takes the refused calls of the event’s owner with it, where the event was closed', () => {
    const closed = called('NtClose', 'ntdll!NtClose', 'ws2_32!closesocket', ...path, ...mainBottom);
    const refused = misuse({ object: { type: 'Event' }, offending: refusedClose, opened: requestOpened, closed });
    const finding = onlyFinding({ misuses: [{ ...given, outcome: 'closed' }, refused], closings: [] });
    expect(finding.rule).toBe('stale-close');
    expect(finding.message).toContain('which CloseHandle at finish (request.c:7) then found closed');
  });

  it.each<[what: string, change: Partial<Misuse>]>([
    ['the value was no socket before', { earlierLives: [{ ...conn, object: { type: 'File' } }] }],
    ['the socket was closed elsewhere', { earlierLives: [{ ...conn, closed: requestClosed }] }],
    ['several values were given to it', { values: [0x40n, 0x44n], count: 2 }],
    [
      'a function that may be given anything made the call',
      { offending: called('closesocket', 'ws2_32!closesocket', 'app!shut @net.cpp:4', ...mainBottom) },
    ],
  ])('is a wrong closer all the same, when %s', (_what, change) => {
    const { rule } = onlyFinding({ misuses: [{ ...given, ...change }], closings: [] });
    expect(rule).toBe('wrong-closer');
  });
});

describe('a second close by the victim’s own code stays one, when', () => {
  const closedBy = (...frames: readonly string[]) =>
    called('NtClose', 'kernelbase!CloseHandle', ...frames, ...mainBottom);
  it.each<[what: string, evidence: Evidence]>([
    ['nothing else had the value', { ...evidenceOf(), misuses: [{ ...refusal, earlierLives: [] }] }],
    ['too many closings are known', { open: [], misuses: [refusal] }],
    ['the earlier life was closed elsewhere', evidenceOf({ earlierLives: [{ ...log, closed: requestClosed }] })],
    [
      'the earlier life was closed on another line of the function',
      evidenceOf({ earlierLives: [{ ...log, closed: closing('app!close_log @log.c:8', 'app!stop') }] }),
    ],
    [
      'the earlier life was opened at the same place',
      evidenceOf({ earlierLives: [{ ...log, opened: requestOpened.stack }] }),
    ],
    ['its second close is made there too', evidenceOf({ offending: closedBy('app!close_log @log.c:12', 'app!serve') })],
    [
      'that place closes what others opened, as a common function does',
      evidenceOf({}, [...lastCloses, { opened: by('app!open_settings @s.c:4'), closed: logClosed }]),
    ],
    [
      'one of its kind that had the value before was closed there',
      evidenceOf({
        earlierLives: [log, { object: { type: 'Event' }, opened: requestOpened.stack, closed: logClosedAgain.stack }],
      }),
    ],
    [
      'others of its kind are closed there by another way',
      evidenceOf({}, [
        ...lastCloses,
        { opened: requestOpened.stack, closed: closing('app!close_log @log.c:9', 'app!serve') },
      ]),
    ],
    ['others of its kind are not known', evidenceOf({}, lastCloses.slice(0, 2))],
    [
      'the function that opened it was active',
      evidenceOf({ closed: closedBy('app!close_log @log.c:9', 'app!begin @request.c:4', 'app!serve') }),
    ],
    [
      'the function that closes its kind was active',
      evidenceOf({ closed: closedBy('app!close_log @log.c:9', 'app!finish @request.c:8', 'app!serve') }),
    ],
    [
      'the function that closed it also opens it',
      evidenceOf({
        opened: called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!close_log @log.c:2', ...mainBottom),
      }),
    ],
    ['a function on the way has no name', evidenceOf({ closed: closedBy('app!close_log @log.c:9', 'app+0x1234') })],
    [
      'the way was cut',
      evidenceOf({ closed: called('NtClose', 'kernelbase!CloseHandle', 'app!close_log @log.c:9', 'app!rotate') }),
    ],
  ])('%s', (_what, evidence) => {
    expect(analyze(evidence).map(({ rule, level }) => [rule, level])).toEqual([['double-close', 'error']]);
  });
});
