import { describe, expect, it } from 'vitest';
import { trimStack } from '../../../../src/analyze/stacks.ts';
import type { CallRecord, Misuse, PastLife } from '../../../../src/evidence-model.ts';
import { onlyFinding } from '../calls.ts';
import { called, mainBottom, misuse } from '../evidence.ts';

const open = (...frames: readonly string[]): CallRecord =>
  called('NtCreateEvent', 'kernelbase!CreateEventW', ...frames, ...mainBottom);
const close = (...frames: readonly string[]): CallRecord =>
  called('NtClose', 'kernelbase!CloseHandle', ...frames, ...mainBottom);

const log: PastLife = {
  object: { type: 'File' },
  opened: { ...open('app!open_log @log.c:5'), timeMs: 1 },
  closed: { ...close('app!close_log @log.c:9'), timeMs: 2 },
};
const page: PastLife = {
  object: { type: 'Section' },
  opened: { ...open('app!map_page @page.c:3'), timeMs: 3 },
  closed: { ...close('app!unmap_page @page.c:7'), timeMs: 4 },
};
const requestOpened = { ...open('app!begin @request.c:3'), timeMs: 5 };
const closedByLog = { ...close('app!close_log @log.c:9'), timeMs: 6 };
const refused = { ...called('NtSetEvent', 'kernelbase!SetEvent', 'app!finish @request.c:6', ...mainBottom), timeMs: 7 };
const request = misuse({
  kind: 'use',
  object: { type: 'Event' },
  offending: refused,
  opened: requestOpened,
  closed: closedByLog,
  lives: [log, page],
});
const historyOf = (change: Partial<Misuse>) => onlyFinding({ misuses: [{ ...request, ...change }] }).history;
const shapeOf = (change: Partial<Misuse>) =>
  historyOf(change)?.events.map(({ event, life, type, closerOf, timeMs }) =>
    [life, event, type, ...(closerOf === undefined ? [] : [`closer of ${closerOf}`]), timeMs].join(' '),
  );

describe('the history of a value', () => {
  it('has the calls of all its lives, the oldest first, and then the mistake', () => {
    expect(shapeOf({})).toEqual([
      '1 opened File 1',
      '1 closed File 2',
      '2 opened Section 3',
      '2 closed Section 4',
      '3 opened Event 5',
      '3 closed Event closer of 1 6',
      '3 misused Event 7',
    ]);
    expect(historyOf({})).toMatchObject({ handle: request.values[0] });
  });

  it('has the time, the thread, the call and the stack of each', () => {
    const { call, threadId, timeMs, stack } = refused;
    expect(historyOf({})?.events.at(-1)).toEqual({
      event: 'misused',
      life: 3,
      type: 'Event',
      call,
      threadId,
      timeMs,
      stack: trimStack(stack),
    });
  });

  it.each<[what: string, change: Partial<Misuse>]>([
    [
      'the same code closed another of its opener',
      { lives: [log, { ...page, opened: requestOpened, closed: closedByLog }] },
    ],
    ['the same code closed lives of several', { lives: [log, { ...page, closed: closedByLog }] }],
    ['other code closed it', { closed: close('app!finish @request.c:8') }],
  ])('names no other life that the closer closed, where %s', (_what, change) => {
    const last = historyOf(change)?.events.findLast(({ event }) => event === 'closed');
    expect(last).toMatchObject({ life: 3 });
    expect(last).not.toHaveProperty('closerOf');
  });

  it('leaves out lives in which the program had no part', () => {
    const loaded: PastLife = {
      object: { type: 'Key' },
      opened: called('NtOpenKey', 'ntdll!LdrpLoad', 'ntdll!RtlUserThreadStart'),
      closed: called('NtClose', 'ntdll!LdrpLoad', 'ntdll!RtlUserThreadStart'),
    };
    expect(shapeOf({ lives: [loaded, log, page] })).toEqual(shapeOf({}));
    expect(historyOf({ lives: [loaded] })).toBeUndefined();
  });

  it('leaves out a close that is not known', () => {
    const { closed: _closed, ...unclosed } = page;
    expect(shapeOf({ lives: [unclosed] })?.slice(0, 2)).toEqual(['1 opened Section 3', '2 opened Event 5']);
  });

  it.each<[what: string, lives: Partial<Misuse>]>([
    ['had no life before', {}],
    [
      'had only lives like its last one',
      { lives: [{ object: { type: 'Event' }, opened: requestOpened, closed: closedByLog }] },
    ],
  ])('is absent where the value %s', (_what, { lives }) => {
    const { lives: _lives, ...alone } = request;
    expect(onlyFinding({ misuses: [{ ...alone, ...(lives && { lives }) }] })).not.toHaveProperty('history');
  });

  it('names the life that the code of a refused close had closed before', () => {
    const closed = close('app!finish @request.c:8');
    const change = { kind: 'close', offending: closedByLog, closed } as const;
    expect(historyOf(change)?.events.at(-1)).toMatchObject({ event: 'misused', life: 3, closerOf: 1 });
    expect(historyOf({ ...change, offending: closed })?.events.at(-1)).not.toHaveProperty('closerOf');
  });

  it('says that a stranger closed it, where the finding says so too', () => {
    const closings = [
      { opened: log.opened.stack, closed: closedByLog.stack },
      { opened: requestOpened.stack, closed: close('app!finish @request.c:8').stack },
    ];
    const earlierLives = [{ object: log.object, opened: log.opened.stack, closed: closedByLog.stack }];
    const { rule, history } = onlyFinding({ misuses: [{ ...request, earlierLives, lives: [log] }], closings });
    expect([rule, ...(history?.events.slice(-2).map(({ event }) => event) ?? [])]).toEqual([
      'stale-close',
      'closed-by-stranger',
      'misused',
    ]);
  });
});
