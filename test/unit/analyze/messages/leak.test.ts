// The whole sentences of leaks, whoever opened the handle and whatever became of it.
import { describe, expect, it } from 'vitest';

import type { Ending, Evidence, Mark, OpenSite } from '../../../../src/evidence-model.ts';
import { beforeMain, bySystem, onlyFinding, opened } from '../calls.ts';
import { called, mainBottom, openSite, stack } from '../evidence.ts';

const byThread = ['kernel32!BaseThreadInitThunk+0x9', 'ntdll!RtlUserThreadStart+0x88'];
const semaphore = 'kernelbase!CreateSemaphoreW';
const byRuntime = called(
  'NtCreateSemaphore',
  ...[semaphore, 'app+0xc271', 'app!__emutls_get_address', 'app!std::uncaught_exception', 'app!std::ostream::flush'],
  ...['app!work @w.c:3', ...mainBottom],
);
const onceByRuntime = called(
  'NtCreateSemaphore',
  ...[semaphore, 'app!__gthr_win32_recursive_mutex_init_function', 'app+0x12b48', 'app!__gthr_win32_once'],
  ...['app!__cxa_guard_acquire', 'app!instance @i.cpp:4', ...mainBottom],
);
const tooDeep = { ...opened, stack: stack(...Array.from({ length: 64 }, (_, depth) => `combase!F${depth}`)) };
const withoutStack = { ...opened, stack: [] };
const onOwnThread = called('NtCreateEvent', 'kernelbase!CreateEventW', 'rpcrt4!NdrClientCall3', ...byThread);
const asDescriptor = called('NtCreateFile', 'kernelbase!CreateFileW', 'msvcrt!_open', 'app!main @a.c:3');
const asConsole = called(
  'CreatePseudoConsole',
  'kernelbase!CreatePseudoConsole',
  'app!open_console @c.c:4',
  ...mainBottom,
);

function messageOf(site: Partial<OpenSite>, evidence: Partial<Evidence> = {}): string {
  return onlyFinding({ open: [openSite(site)], ...evidence }).message;
}

describe('handles that the program did not open for itself', () => {
  it.each<[message: string, opening: typeof opened, count: number]>([
    [
      'One Semaphore handle that the runtime opened for itself (__emutls_get_address), called at work (w.c:3), is still open.',
      byRuntime,
      1,
    ],
    [
      '2 Semaphore handles that the runtime opened once for itself (__gthr_win32_once), called at instance (i.cpp:4), are still open.',
      onceByRuntime,
      2,
    ],
    [
      'One Semaphore handle is still open, but the stack of the opening is too deep to show the code that asked for it.',
      tooDeep,
      1,
    ],
    ['2 Semaphore handles are still open, but the stack of the opening could not be walked.', withoutStack, 2],
    [
      'One Semaphore handle that rpcrt4!NdrClientCall3 opened for itself, on a thread that runs no code of the program, is still open.',
      onOwnThread,
      1,
    ],
    ['2 Semaphore handles opened before main, at Gate::Gate (gate.cpp:3), are still open.', beforeMain, 2],
    [
      'One Semaphore handle that ws2_32!WSAStartup opened for itself, called at main (app.c:9), is still open.',
      bySystem,
      1,
    ],
  ])('%s', (message, opening, count) => {
    expect(messageOf({ opened: opening, object: { type: 'Semaphore' }, count })).toBe(message);
  });
});

describe('handles that were closed in the end', () => {
  const marks: readonly Mark[] = Array.from({ length: 6 }, (_, index) => ({ timeMs: index, iterations: 1 }));
  const grew = { examples: [], closedAfterMarks: true, countsAtMarks: [1, 2, 3, 4, 5, 6] } as const;
  const growth = ' The site grew in each of the 4 iterations after the warm-up, by 1 handle.';
  const left = (leftIn: number) => ({ examples: [], closedAfterSections: true, sections: { leftIn } }) as const;

  it.each<[message: string, opening: typeof opened, count: number]>([
    ['One Semaphore handle was open at the last mark, opened by the runtime for itself.', byRuntime, 1],
    ['2 Semaphore handles were open at the last mark, opened by the system for itself.', onOwnThread, 2],
    ['2 Semaphore handles were open at the last mark, opened by an unknown stack.', tooDeep, 2],
    ['One Semaphore handle was open at the last mark, opened by the system for itself.', beforeMain, 1],
  ])('after the last mark: %s', (message, opening, count) => {
    const site = { ...grew, opened: opening, object: { type: 'Semaphore' }, count };
    expect(messageOf(site, { marks })).toBe(`${message}${growth}`);
  });

  it.each<[message: string, opening: typeof opened, count: number, leftIn: number]>([
    [
      'One Event handle opened at open_gate (gate.c:14) was still open when its test ended, and closed only later.',
      opened,
      1,
      1,
    ],
    [
      '2 Event handles opened at open_gate (gate.c:14) were still open when their tests ended, and closed only later. Left open at the ends of 2 tests.',
      opened,
      2,
      2,
    ],
    ['One Event handle was open at the end of its test, opened by the runtime for itself.', onceByRuntime, 1, 1],
    ['2 Event handles were open at the end of their tests, opened by the system for itself.', onOwnThread, 2, 1],
  ])('after a test: %s', (message, opening, count, leftIn) => {
    const object = { type: opening === onceByRuntime ? 'Semaphore' : 'Event' };
    const said = messageOf({ ...left(leftIn), opened: opening, object, count });
    expect(said).toBe(message.replace('Event', object.type));
  });

  it('grow by a part of a handle, on average', () => {
    expect(messageOf({ opened, count: 9, countsAtMarks: [1, 2, 4, 5, 7, 8] }, { marks })).toMatch(
      / The site grew in each of the 4 iterations after the warm-up, by about 1\.5 handles\.$/,
    );
  });

  it('grow by several handles', () => {
    expect(messageOf({ opened, count: 9, countsAtMarks: [2, 4, 6, 8, 10, 12] }, { marks })).toMatch(
      /, by 2 handles\.$/,
    );
  });
});

describe('handles of special kinds', () => {
  const descriptor = (value: bigint) => ({ type: 'File', wrapper: { type: 'Descriptor', value } }) as const;
  const lasting = 'which lasts as long as the process.';

  it.each<[message: string, site: Partial<OpenSite>]>([
    [
      'One pseudo console opened at open_console (c.c:4) is still open and wants ClosePseudoConsole; none from this site was ever closed.',
      { opened: asConsole, object: { type: 'PseudoConsole' } },
    ],
    [
      '2 pseudo consoles opened at open_console (c.c:4) are still open and want ClosePseudoConsole; none from this site was ever closed.',
      { opened: asConsole, object: { type: 'PseudoConsole' }, count: 2 },
    ],
    [
      `One descriptor opened at main (a.c:3) is still open: the program made it a standard stream, ${lasting}`,
      { opened: asDescriptor, object: descriptor(2n) },
    ],
    [
      '2 descriptors opened at main (a.c:3) are still open: the program made them standard streams, which last as long as the process.',
      { opened: asDescriptor, object: descriptor(1n), count: 2 },
    ],
    [
      'One descriptor opened at main (a.c:3) is still open; none from this site was ever closed.',
      { opened: asDescriptor, object: descriptor(3n) },
    ],
    [
      'One Event handle opened at open_gate (gate.c:14) by process 7 (b.exe) is still open.',
      { opened, openedBy: { pid: 7, image: 'C:\\b.exe' } },
    ],
  ])('%s', (message, site) => {
    expect(messageOf(site)).toBe(message);
  });

  it('are no standard streams where one of them is none', () => {
    const site = openSite({ opened: asDescriptor, object: descriptor(2n), count: 2 });
    const mixed = {
      ...site,
      examples: site.examples.map((each, index) => ({ ...each, object: descriptor(2n + BigInt(index)) })),
    };
    expect(onlyFinding({ open: [mixed] })).toMatchObject({ level: 'warning' });
  });
});

describe('a handle that may be in use', () => {
  const byWorker = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!work+0x20 @w.c:8', ...byThread);
  const site = { opened: byWorker, openers: [{ threadId: 7, liveFrom: 1, count: 1, last: 0x1a4n, lastTimeMs: 3 }] };
  const said =
    'One Event handle opened at work (w.c:8) is still open: thread 7 was still inside work (w.c:8), which opened it, ';

  it.each<[moment: string, cause: Ending['cause']]>([
    ['when the process crashed.', 'crash'],
    ['when the audit was aborted.', 'aborted'],
    ['when the process was interrupted.', 'interrupted'],
    ['at the time of this report.', 'goes-on'],
    ['when the process exited.', 'call'],
  ])('says so %s', (moment, cause) => {
    expect(messageOf(site, { ending: { cause } })).toBe(said + moment);
  });

  it('says so at the time of a report on a process that goes on', () => {
    expect(messageOf(site, { watch: { goesOn: true, durationMs: 5 } })).toBe(`${said}at the time of this report.`);
  });
});
