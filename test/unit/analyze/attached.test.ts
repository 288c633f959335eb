// A process that ran before it was recorded, and goes on: what it has open is no leak yet.
import { describe, expect, it } from 'vitest';

import { analyze } from '../../../src/analyze/index.ts';
import type { Mark, OpenSite, Watch } from '../../../src/evidence-model.ts';
import type { Level } from '../../../src/model.ts';
import { onlyFinding } from './calls.ts';
import { called, mainBottom, openSite } from './evidence.ts';

const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!serve @serve.c:14', ...mainBottom);
const closed = called('NtClose', 'kernelbase!CloseHandle', 'app!done @serve.c:21', ...mainBottom).stack;
const goesOn: Watch = { goesOn: true, durationMs: 60_000 };
const atIntervals: Watch = { ...goesOn, everyMs: 10_000 };

/** Eight intervals; of each it may be said how many handles of a type are left from before. */
function intervals(openBefore?: readonly (readonly [type: string, left: number])[]): readonly Mark[] {
  return Array.from({ length: 8 }, (_, index) => ({
    timeMs: 10_000 * (index + 1),
    iterations: 1,
    ...(openBefore?.[index] === undefined ? {} : { openBefore: new Map([openBefore[index]]) }),
  }));
}

describe('a process that goes on', () => {
  it.each<[title: string, site: Partial<OpenSite>, level: Level, message: string]>([
    [
      'has no leak in a handle that it may yet close, and the note says how old it is',
      { opened, oldestTimeMs: 19_000 },
      'note',
      'One Event handle opened at serve (serve.c:14) is still open, opened 41 s ago; none from this site was ever closed.',
    ],
    [
      'has none in many of them either, and the note says how old the oldest is',
      { opened, count: 60, siblingsClosedAt: closed, oldestTimeMs: 59_000 },
      'note',
      '60 Event handles opened at serve (serve.c:14) are still open, the oldest opened 1 s ago; others from this site are closed at done (serve.c:21).',
    ],
    [
      'shows no age that is not known',
      { opened },
      'note',
      'One Event handle opened at serve (serve.c:14) is still open; none from this site was ever closed.',
    ],
    [
      'shows no age below nothing',
      { opened, oldestTimeMs: 61_000 },
      'note',
      'One Event handle opened at serve (serve.c:14) is still open, opened 0 ms ago; none from this site was ever closed.',
    ],
  ])('%s', (_title, site, level, message) => {
    expect(onlyFinding({ open: [openSite(site)], watch: goesOn })).toMatchObject({ level, message });
  });

  it('takes the oldest of all lines of a site', () => {
    const other = { ...opened, stack: opened.stack.map((frame) => ({ ...frame, offset: frame.offset + 8 })) };
    const sites = [openSite({ opened, oldestTimeMs: 50_000 }), openSite({ opened: other, oldestTimeMs: 20_000 })];
    expect(onlyFinding({ open: sites, watch: goesOn }).message).toContain('the oldest opened 40 s ago');
  });

  it('leaks at a site that grows in every interval, and the message names the interval', () => {
    const site = openSite({ opened, count: 8, countsAtMarks: [1, 2, 3, 4, 5, 6, 7, 8] });
    const finding = onlyFinding({ open: [site], marks: intervals(), watch: atIntervals });
    expect(finding).toMatchObject({ level: 'error', growth: { grewIn: 6 } });
    expect(finding.message).toMatch(
      / The site grew in each of the 6 intervals of 10 s after the warm-up, by 1 handle\.$/,
    );
  });

  it('has a note where a site does not grow in every interval', () => {
    const site = openSite({ opened, count: 6, countsAtMarks: [1, 2, 2, 3, 3, 4, 5, 6] });
    expect(onlyFinding({ open: [site], marks: intervals(), watch: atIntervals })).toMatchObject({
      level: 'note',
      growth: { grewIn: 4 },
    });
  });

  it('that ends is judged by what it leaves open, whatever did not grow', () => {
    const site = openSite({ opened, count: 60, countsAtMarks: Array.from({ length: 8 }, () => 60) });
    const finding = onlyFinding({ open: [site], marks: intervals(), watch: { ...atIntervals, goesOn: false } });
    expect(finding.level).toBe('error');
    expect(finding).not.toHaveProperty('growth');
  });

  it('that ends is judged by what grew, too', () => {
    const site = openSite({ opened, count: 8, countsAtMarks: [1, 2, 3, 4, 5, 6, 7, 8] });
    const finding = onlyFinding({ open: [site], marks: intervals(), watch: { ...atIntervals, goesOn: false } });
    expect(finding).toMatchObject({ level: 'error', growth: { grewIn: 6 } });
  });
});

describe('a pool that closes what was open before, and opens others in its place', () => {
  const left = (type: string) => [8, 7, 6, 5, 4, 3, 2, 1].map((count) => [type, count] as const);
  const countsAtMarks = [1, 2, 3, 4, 5, 6, 7, 8];
  const openings = {
    Event: opened,
    File: called('NtCreateFile', 'kernelbase!CreateFileW', 'app!serve @serve.c:14', ...mainBottom),
    Socket: called('NtOpenFile', 'ws2_32!socket', 'app!serve @serve.c:14', ...mainBottom),
  };

  it.each([
    ['of events does not grow by that', 'Event', 'Event', 'note'],
    ['grows where the others are of another type', 'Event', 'Key', 'error'],
    ['of sockets, which the kernel had for files, does not grow by that', 'Socket', 'File', 'note'],
    ['of files grows where sockets are closed', 'File', 'Socket', 'error'],
  ] as const)('%s', (_title, type, before, level) => {
    const site = openSite({ opened: openings[type], object: { type }, count: 8, countsAtMarks });
    expect(onlyFinding({ open: [site], marks: intervals(left(before)), watch: atIntervals }).level).toBe(level);
  });
});

describe('a handle that was left for WSACleanup', () => {
  const socket = called('NtOpenFile', 'ws2_32!socket', 'app!dial @dial.c:3', ...mainBottom);
  const bySystem = called('NtOpenFile', 'ws2_32!socket', 'winhttp!WinHttpOpen', ...mainBottom);
  const left = { object: { type: 'Socket' }, sweptBy: 'WSACleanup' };

  it('is reported where the program opened it, and is not where Windows did', () => {
    expect(onlyFinding({ open: [openSite({ ...left, opened: socket })] }).rule).toBe('leak');
    expect(analyze({ open: [openSite({ ...left, opened: bySystem })], misuses: [] })).toEqual([]);
    expect(analyze({ open: [openSite(left)], misuses: [] })).toEqual([]);
  });
});
