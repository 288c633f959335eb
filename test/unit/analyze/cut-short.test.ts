import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Level } from '../../../src/model.ts';
import type { Ending, OpenSite } from '../../../src/evidence-model.ts';
import { called, openSite, stack } from './evidence.ts';

const threadBottom = ['kernel32!BaseThreadInitThunk+0x9', 'ntdll!RtlUserThreadStart+0x88'];
const crtBottom = ['app!__tmainCRTStartup+0x30', 'app!mainCRTStartup', ...threadBottom];
const open = 'kernelbase!CreateEventW';
const close = 'kernelbase!CloseHandle';

/** A thread with its own function `work`, which opens by `open_log` and closes by `close_log`. */
const byWorker = called('NtCreateEvent', open, 'app!open_log @w.c:3', 'app!work+0x20 @w.c:8', ...threadBottom);
const closedByWorker = stack(close, 'app!close_log @w.c:5', 'app!work+0x40 @w.c:10', ...threadBottom);
/** The same without functions for the steps. */
const directly = called('NtCreateEvent', open, 'app!work+0x20 @w.c:8', ...threadBottom);

/** The same in a module without names: a library's function, which the thread has left, opened it for its caller. */
const nameless = called(
  'NtCreateEvent',
  open,
  'app+0x39864',
  'app+0x58e25',
  'app+0x34dd',
  'app+0x7b97',
  ...threadBottom,
);

/** An event loop in `run`, which calls back. */
const byCallback = called(
  'NtCreateEvent',
  open,
  'app!on_open @l.c:2',
  'app!run+0x20 @l.c:9',
  'app!main+0x8',
  ...crtBottom,
);
const closedByCallback = stack(close, 'app!on_close @l.c:4', 'app!run+0x20 @l.c:9', 'app!main+0x8', ...crtBottom);

/** `main` itself calls the functions that open and close. */
const byMain = called('NtCreateEvent', open, 'app!open_it @m.c:2', 'app!main+0x10 @m.c:9', ...crtBottom);
const closedByMain = stack(close, 'app!close_it @m.c:4', 'app!main+0x20 @m.c:10', ...crtBottom);

const [opener, main] = [7, 44];
const call = (...frames: readonly string[]): Ending => ({ cause: 'call', threadId: main, stack: stack(...frames) });
const mainReturned = call(
  'ntdll!RtlExitUserProcess',
  'msvcrt!exit',
  'app!__tmainCRTStartup+0x50',
  'app!mainCRTStartup',
  ...threadBottom,
);
const exitIn = (...frames: readonly string[]) => call('ntdll!RtlExitUserProcess', 'msvcrt!exit', ...frames);

interface Case {
  readonly title: string;
  readonly site: Partial<OpenSite>;
  readonly ending: Ending;
  readonly level: Level;
  readonly count?: number;
  readonly says: RegExp;
}

const running = (liveFrom: number, threadId = opener, count = 1) => ({
  threadId,
  liveFrom,
  count,
  last: 0x1a4n,
  lastTimeMs: 3,
});

const cases: readonly Case[] = [
  {
    title: 'in a thread that is still inside the function that opened it may be in use',
    site: { opened: directly, openers: [running(2)] },
    ending: mainReturned,
    level: 'note',
    says: /^One Event handle opened at work \(w\.c:8\) is still open: thread 7 was still inside work \(w\.c:8\), which opened it, when the process exited\.$/,
  },
  {
    title: 'in a thread that is still inside a nameless caller of the nameless function that opened it may be in use',
    site: { opened: nameless, openers: [running(4)] },
    ending: mainReturned,
    level: 'note',
    says: /: thread 7 was still inside app\.exe\+0x34dd, which opened it, when the process exited\.$/,
  },
  {
    title: 'in a thread that is only inside its nameless outermost function is a leak, when none is ever closed',
    site: { opened: nameless, openers: [running(5)] },
    ending: mainReturned,
    level: 'warning',
    says: /none from this site was ever closed\.$/,
  },
  {
    title: 'in a thread that is still inside the call in which others are closed may be in use',
    site: { opened: byWorker, openers: [running(3)], siblingsClosedAt: closedByWorker },
    ending: mainReturned,
    level: 'note',
    says: /: thread 7 was still inside work \(w\.c:8\), within which others from this site are closed at close_log \(w\.c:5\), when/,
  },
  {
    title: 'in a thread that has left the function which opened it is a leak, when none is ever closed',
    site: { opened: byWorker, openers: [running(3)] },
    ending: mainReturned,
    level: 'warning',
    says: /none from this site was ever closed\.$/,
  },
  {
    title: 'that is not the last of its thread is a leak',
    site: { opened: directly, count: 3, openers: [running(2, opener, 3)] },
    ending: mainReturned,
    level: 'warning',
    count: 2,
    says: /^2 Event .* ever closed\. One more may have been in use: thread 7 was still inside work \(w\.c:8\), which opened it/,
  },
  {
    title: 'whose thread closed a later one is a leak',
    site: {
      opened: byWorker,
      openers: [{ threadId: opener, liveFrom: 3, count: 1, lastTimeMs: 3 }],
      siblingsClosedAt: closedByWorker,
    },
    ending: mainReturned,
    level: 'warning',
    says: /closed at close_log \(w\.c:5\), but thread 7 was still inside work \(w\.c:8\) when the process exited\.$/,
  },
  {
    title: 'whose thread was inside nothing but the start of threads is a leak',
    site: { opened: byWorker, openers: [running(4)], siblingsClosedAt: closedByWorker },
    ending: mainReturned,
    level: 'error',
    says: /others from this site are closed at close_log \(w\.c:5\)\.$/,
  },
  {
    title: 'that was passed on to a thread which is inside the function that closes may be in use',
    site: {
      opened: byMain,
      siblingsClosedAt: closedByWorker,
      newest: [0x1a4n],
      closers: [{ threadId: opener, liveFrom: 2, closed: closedByWorker }],
    },
    ending: mainReturned,
    level: 'note',
    says: /thread 7 was still inside close_log \(w\.c:5\), which closes others from this site/,
  },
  {
    title: 'that may have been passed on to a thread which waits for work is a leak, and no proof',
    site: {
      opened: byMain,
      siblingsClosedAt: closedByWorker,
      newest: [0x1a4n],
      closers: [{ threadId: opener, liveFrom: 3, closed: closedByWorker }],
    },
    ending: mainReturned,
    level: 'warning',
    says: /but thread 7 was still inside work/,
  },
  {
    title: 'in an event loop that a callback ends is no proof',
    site: { opened: byCallback, count: 60, siblingsClosedAt: closedByCallback, openers: [running(2, main, 60)] },
    ending: exitIn('app!on_end @l.c:6', 'app!run+0x20 @l.c:9', 'app!main+0x8', ...crtBottom),
    level: 'warning',
    count: 60,
    says: /closed at on_close \(l\.c:4\), but the process exited inside run \(l\.c:9\)\.$/,
  },
  {
    title: 'in an event loop that another part of it ends is no proof',
    site: { opened: byCallback, siblingsClosedAt: closedByCallback, openers: [running(3, main)] },
    ending: exitIn('app!on_timer @l.c:7', 'app!run+0x60 @l.c:12', 'app!main+0x8', ...crtBottom),
    level: 'warning',
    says: /but the process exited inside run/,
  },
  {
    title: 'of 60 in an event loop that a callback ends is a proof, when none is ever closed',
    site: { opened: byCallback, count: 60, openers: [running(2, main, 60)] },
    ending: exitIn('app!on_end @l.c:6', 'app!run+0x20 @l.c:9', 'app!main+0x8', ...crtBottom),
    level: 'error',
    count: 60,
    says: /none from this site was ever closed\.$/,
  },
  {
    title: 'after an event loop that has returned is a proof',
    site: { opened: byCallback, siblingsClosedAt: closedByCallback, openers: [running(5, main)] },
    ending: mainReturned,
    level: 'error',
    says: /closed at on_close \(l\.c:4\)\.$/,
  },
  {
    title: 'after an event loop is a proof, when a function of main’s exits',
    site: { opened: byCallback, siblingsClosedAt: closedByCallback, openers: [running(4, main)] },
    ending: exitIn('app!finish @l.c:20', 'app!main+0x50 @l.c:30', ...crtBottom),
    level: 'error',
    says: /closed at on_close \(l\.c:4\)\.$/,
  },
  {
    title: 'in main is a proof, when main exits itself',
    site: { opened: byMain, siblingsClosedAt: closedByMain, openers: [running(3, main)] },
    ending: exitIn('app!main+0x50 @m.c:12', ...crtBottom),
    level: 'error',
    says: /closed at close_it \(m\.c:4\)\.$/,
  },
  {
    title: 'in main is no proof, when a function of main’s exits',
    site: { opened: byMain, siblingsClosedAt: closedByMain, openers: [running(3, main)] },
    ending: exitIn('app!give_up @m.c:6', 'app!main+0x50 @m.c:12', ...crtBottom),
    level: 'warning',
    says: /but the process exited inside main \(m\.c:9\)\.$/,
  },
  {
    title: 'of a program without symbols is a proof, when its main has returned',
    site: {
      opened: called('NtCreateEvent', open, 'app+0x110', 'app+0x120', 'app+0x130', 'app+0x140', ...threadBottom),
      siblingsClosedAt: stack(close, 'app+0x210', 'app+0x125', 'app+0x130', 'app+0x140', ...threadBottom),
      openers: [running(4, main)],
    },
    ending: exitIn('app+0x135', 'app+0x140', ...threadBottom),
    level: 'error',
    says: /closed at app\.exe\+0x210\.$/,
  },
  {
    title: 'of the thread that exits is a leak, even inside the function that opened it',
    site: { opened: directly, openers: [running(2, main)] },
    ending: exitIn('app!work+0x60 @w.c:12', ...threadBottom),
    level: 'warning',
    says: /none from this site was ever closed\.$/,
  },
  {
    title: 'of a process that crashed is no proof',
    site: { opened: byWorker, siblingsClosedAt: closedByWorker },
    ending: { cause: 'crash', threadId: main },
    level: 'warning',
    says: /closed at close_log \(w\.c:5\), but the process crashed\.$/,
  },
  {
    title: 'of a process that another one ended is no proof',
    site: { opened: byWorker, siblingsClosedAt: closedByWorker },
    ending: { cause: 'outside' },
    level: 'warning',
    says: /but another process or the kernel ended this one\.$/,
  },
  {
    title: 'of a target whose audit was aborted may be in use',
    site: { opened: directly, openers: [running(2)] },
    ending: { cause: 'aborted' },
    level: 'note',
    says: /which opened it, when the audit was aborted\.$/,
  },
  {
    title: 'of a process that has ended is an error, wherever the threads are',
    site: {
      opened: called('NtCreateUserProcess', 'kernelbase!CreateProcessW', 'app!main+0x8', ...crtBottom),
      object: { type: 'Process' },
      endedCount: 2,
      count: 2,
      openers: [running(2, main, 2)],
    },
    ending: exitIn('app!on_end @l.c:6', 'app!run+0x20 @l.c:9', 'app!main+0x8', ...crtBottom),
    level: 'error',
    count: 2,
    says: /although their processes have ended/,
  },
];

const startThread = called(
  'NtCreateThreadEx',
  'kernelbase!CreateThread',
  'app!start @t.c:4',
  'app!main+0x8',
  ...crtBottom,
);
const ended = { opened: startThread, object: { type: 'Thread' }, endedCount: 1 };

describe('a handle to a thread that has ended', () => {
  const said = 'One Thread handle opened at start (t.c:4) is still open although its thread has ended; ';
  const never = 'none from this site was ever closed.';

  it.each<[how: string, cause: Ending['cause'], reason: string]>([
    ['the audit was aborted', 'aborted', 'the audit was aborted'],
    ['Ctrl-C ended the program', 'interrupted', 'the process was interrupted'],
    ['the program crashed', 'crash', 'the process crashed'],
    ['something else ended the program', 'outside', 'another process or the kernel ended this one'],
  ])('is a warning that says why it may be no leak, where %s', (_, cause, reason) => {
    const [finding] = analyze({ open: [openSite(ended)], misuses: [], ending: { cause } });
    expect([finding!.level, finding!.message]).toEqual([
      'warning',
      `${said}${never} But ${reason}, and the program may close it at its end.`,
    ]);
  });

  it.each<[how: string, parts: Partial<OpenSite>, ending: Ending]>([
    ['the program ended by itself', {}, mainReturned],
    ['fifty of them are open', { count: 50 }, { cause: 'interrupted' }],
    ['others of the site were closed', { siblingsClosedAt: closedByMain }, { cause: 'interrupted' }],
  ])('is an error where %s', (_, parts, ending) => {
    const [finding] = analyze({ open: [openSite({ ...ended, ...parts })], misuses: [], ending });
    expect(finding!.level).toBe('error');
    expect(finding!.message).not.toContain('But');
  });

  it('says nothing of an end where none has ended', () => {
    const [finding] = analyze({
      open: [openSite({ ...ended, endedCount: 0 })],
      misuses: [],
      ending: { cause: 'interrupted' },
    });
    expect([finding!.level, finding!.message]).toEqual([
      'warning',
      `One Thread handle opened at start (t.c:4) is still open; ${never}`,
    ]);
  });
});

it('a process that goes on is not said to have ended', () => {
  const site = openSite({ opened: byWorker, siblingsClosedAt: closedByWorker, openers: [running(3)] });
  const [finding] = analyze({
    open: [site],
    misuses: [],
    ending: { cause: 'goes-on' },
    watch: { goesOn: true, durationMs: 5 },
  });
  expect(finding!.level).toBe('note');
  expect(finding!.message).not.toMatch(/ended|exited|crashed/);
});

describe('a handle', () => {
  it.each(cases)('$title', ({ site, ending, level, count = 1, says }) => {
    const object = site.object ?? { type: 'Event' };
    const evidence = { open: [openSite({ ...site, object } as Partial<OpenSite>)], misuses: [], ending };
    const findings = analyze(evidence);
    expect(findings.map((finding) => [finding.level, finding.count])).toEqual([[level, count]]);
    expect(findings[0]!.message).toMatch(says);
  });
});

it('one thread has one handle in use, however many stacks it opened them by', () => {
  const elsewhere = called('NtCreateEvent', open, 'app!work+0x28 @w.c:9', ...threadBottom);
  const earlier = openSite({ opened: directly, openers: [{ ...running(2), last: 0x1a4n, lastTimeMs: 3 }] });
  const later = openSite({ opened: elsewhere, openers: [{ ...running(2), last: 0x2a4n, lastTimeMs: 5 }] });
  const [finding, ...others] = analyze({ open: [earlier, later], misuses: [], ending: mainReturned });
  expect(others).toEqual([]);
  expect([finding!.level, finding!.count]).toEqual(['warning', 1]);
});

it('two threads have two handles in use, each by its own stack', () => {
  const site = openSite({
    opened: directly,
    count: 2,
    openers: [
      { ...running(2, 7), last: 0x1a4n },
      { ...running(2, 8), last: 0x1a8n },
    ],
  });
  const [finding] = analyze({ open: [site], misuses: [], ending: mainReturned });
  expect([finding!.level, finding!.count]).toEqual(['note', 2]);
  expect(finding!.message).toMatch(/: 2 threads were still inside work \(w\.c:8\), which opened them, when/);
});
