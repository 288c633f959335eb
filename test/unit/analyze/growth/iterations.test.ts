import { describe, expect, it } from 'vitest';

import { analyze } from '../../../../src/analyze/index.ts';
import { spellGap } from '../../../../src/report/gaps.ts';
import { intervalGap, iterationGap, judgeIterations } from '../../../../src/analyze/growth/iterations.ts';
import type { Level } from '../../../../src/model.ts';
import type { Mark, OpenSite } from '../../../../src/evidence-model.ts';
import { called, mainBottom, openSite } from '../evidence.ts';

/** Marks with so many iterations before each; one by default. */
function marks(...iterations: readonly number[]): readonly Mark[] {
  return iterations.map((each, index) => ({ timeMs: index * 100, iterations: each }));
}

const six = marks(1, 1, 1, 1, 1, 1);

describe('counts at marks', () => {
  it.each<[title: string, counts: readonly number[], grewIn: number, perIteration: number, growsAlways: boolean]>([
    ['that ascend by one grow in every iteration', [1, 2, 3, 4, 5, 6], 4, 1, true],
    ['that ascend by different steps grow by their average', [0, 5, 6, 8, 9, 13], 4, 2, true],
    ['that level off after the warm-up do not grow', [30, 60, 60, 60, 60, 60], 0, 0, false],
    ['that rest once do not grow in every iteration', [1, 2, 3, 3, 4, 5], 3, 0.75, false],
    ['that fall back once do not grow in every iteration', [1, 2, 3, 4, 1, 6], 3, 1, false],
    ['that grow in the warm-up only do not grow', [5, 9, 9, 9, 9, 9], 0, 0, false],
    ['that shrink do not grow', [9, 8, 7, 6, 5, 4], 0, -1, false],
    ['of a site that is not there are zeros', [], 0, 0, false],
  ])('%s', (_, counts, grewIn, handlesPerIteration, growsAlways) => {
    expect(judgeIterations(counts, six)).toEqual({ iterations: 4, grewIn, handlesPerIteration, growsAlways });
  });

  it('are judged after a warm-up of any length, and of none', () => {
    expect(judgeIterations([1, 1, 1, 2, 3, 4], six, { warmUpIterations: 3 })).toMatchObject({
      iterations: 3,
      growsAlways: true,
    });
    expect(judgeIterations([1, 1, 1, 2, 3, 4], six, { warmUpIterations: 0 })).toMatchObject({
      iterations: 6,
      grewIn: 4,
      growsAlways: false,
    });
    expect(
      judgeIterations([1, 2, 3], marks(1, 1, 1), { warmUpIterations: 0 }),
      'from nothing at the start',
    ).toMatchObject({
      grewIn: 3,
      growsAlways: true,
    });
  });

  it('are not judged by fewer than three after the warm-up', () => {
    expect(judgeIterations([1, 2, 3, 4], marks(1, 1, 1, 1))).toBeUndefined();
    expect(judgeIterations([1, 2, 3, 4, 5], marks(1, 1, 1, 1, 1))).toMatchObject({ iterations: 3, growsAlways: true });
    expect(judgeIterations([9, 99], marks(2, 1000))).toBeUndefined();
  });

  it('need a handle for each of the iterations that were counted together', () => {
    expect(judgeIterations([2, 5, 6, 8], marks(2, 3, 1, 2))).toMatchObject({
      iterations: 6,
      grewIn: 6,
      handlesPerIteration: 1,
      growsAlways: true,
    });
    expect(judgeIterations([2, 4, 6, 8], marks(2, 3, 1, 2))).toMatchObject({
      iterations: 6,
      grewIn: 5,
      growsAlways: false,
    });
  });

  it('do not count a burst of marks in the warm-up as more than that', () => {
    expect(judgeIterations([50, 51, 52, 53], marks(5, 1, 1, 1))).toMatchObject({ iterations: 3, growsAlways: true });
  });
});

describe('counts after intervals of time', () => {
  const eight = marks(...Array.from({ length: 8 }, () => 1));
  const ascending = [3, 1, 2, 3, 4, 5, 6, 7];
  const options = { areIntervals: true };

  it('are not judged by fewer than six after the warm-up, which come and go by chance', () => {
    expect(judgeIterations(ascending.slice(0, 7), eight.slice(0, 7), options)).toBeUndefined();
    expect(judgeIterations(ascending, eight, options)).toMatchObject({ iterations: 6, growsAlways: true });
  });

  it.each([
    ['one handle for each interval is still there', 7, true],
    ['fewer than that are still there', 6, false],
    ['nothing is there any more', 0, false],
  ])('grow only where what they gained is kept: %s', (_, countNow, growsAlways) => {
    expect(judgeIterations(ascending, eight, { ...options, countNow })).toMatchObject({ grewIn: 6, growsAlways });
  });

  it.each([
    [7, { kind: 'too-few-intervals', intervals: 7, needed: 8 }],
    [8, undefined],
  ])('are too few or enough: %i', (count, expected) => {
    expect(intervalGap(eight.slice(0, count))).toEqual(expected);
  });
});

describe('a gap in the marks', () => {
  it.each<[title: string, marks: readonly Mark[], expected: RegExp | undefined]>([
    ['says that none came, and by what name', [], /^No mark came by Local\\x: growth/],
    [
      'says how many are needed',
      marks(1, 1, 1),
      /^3 iterations were marked, and 5 are needed, 2 of them for the warm-up: growth/,
    ],
    ['is spelt for one', marks(1), /^1 iteration was marked, and 5/],
    ['says that they came too fast', marks(1, 40), /^41 iterations were marked, faster than .*: growth/],
    ['is not there for enough of them', marks(1, 1, 1, 1, 1), undefined],
  ])('%s', (_, given, expected) => {
    const gap = iterationGap(given, 'Local\\x');
    if (expected === undefined) expect(gap).toBeUndefined();
    else expect(spellGap(gap!)).toMatch(expected);
  });
});

describe('a leak in a program whose iterations are marked', () => {
  const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!serve @serve.c:14', ...mainBottom);
  const elsewhere = called('NtCreateEvent', 'kernelbase!CreateEventW', 'app!serve @serve.c:19', ...mainBottom);
  const closed = called('NtClose', 'kernelbase!CloseHandle', 'app!done @serve.c:21', ...mainBottom).stack;
  const bySystem = called('NtOpenFile', 'kernelbase!CreateFileW', 'ws2_32!WSAStartup', ...mainBottom);
  const nowhere = called('NtCreateEvent');
  const growing = [1, 2, 3, 4, 5, 6];
  const still = [6, 6, 6, 6, 6, 6];

  it.each<{ title: string; site: Partial<OpenSite>; level: Level; message: RegExp }>([
    {
      title: 'that grows in every iteration',
      site: { opened, count: 6, countsAtMarks: growing },
      level: 'error',
      message: /ever closed\. The site grew in each of the 4 iterations after the warm-up, by 1 handle\.$/,
    },
    {
      title: 'that does not grow',
      site: { opened, count: 6, countsAtMarks: still },
      level: 'warning',
      message: /ever closed\. The site did not grow in any of the 4 iterations after the warm-up\.$/,
    },
    {
      title: 'that does not grow, of which there are many',
      site: { opened, count: 600, countsAtMarks: still.map((count) => count * 100) },
      level: 'warning',
      message: /did not grow/,
    },
    {
      title: 'that does not grow, whose siblings are closed',
      site: { opened, siblingsClosedAt: closed, countsAtMarks: still },
      level: 'warning',
      message: /closed at done.* did not grow/,
    },
    {
      title: 'that grows now and then',
      site: { opened, count: 6, countsAtMarks: [1, 2, 2, 3, 3, 4] },
      level: 'warning',
      message: /The site grew in 2 of the 4 iterations/,
    },
    {
      title: 'that was opened after the last mark',
      site: { opened, countsAtMarks: [0, 0, 0, 0, 0, 0] },
      level: 'warning',
      message: /did not grow/,
    },
    {
      title: 'that grows, and is closed after the last mark',
      site: {
        opened,
        count: 6,
        examples: [],
        siblingsClosedAt: closed,
        countsAtMarks: growing,
        closedAfterMarks: true,
      },
      level: 'error',
      message:
        /^6 Event handles opened at serve \(serve\.c:14\) were open at the last mark, and closed only after it, at done \(serve\.c:21\)\. The site grew in each/,
    },
    {
      title: 'of Windows’ own that grows',
      site: { opened: bySystem, object: { type: 'File' }, countsAtMarks: growing },
      level: 'note',
      message: /for itself.* The site grew in each/,
    },
    {
      title: 'of Windows’ own that does not',
      site: { opened: bySystem, object: { type: 'File' }, countsAtMarks: still },
      level: 'note',
      message: /is still open\.$/,
    },
    {
      title: 'that grows without a stack',
      site: { opened: nowhere, count: 6, countsAtMarks: growing },
      level: 'warning',
      message: /could not be walked\. The site grew in each/,
    },
  ])('$title: $level', ({ site, level, message }) => {
    const findings = analyze({ open: [openSite(site)], misuses: [], marks: six });
    expect(findings).toMatchObject([{ rule: 'leak', level, count: site.count ?? 1 }]);
    expect(findings[0]!.message).toMatch(message);
  });

  it('is none when it was closed after the last mark and did not grow', () => {
    const site = openSite({ opened, count: 6, countsAtMarks: still, closedAfterMarks: true });
    expect(analyze({ open: [site], misuses: [], marks: six })).toEqual([]);
  });

  it('is judged as without marks when too few of them came', () => {
    const site = openSite({ opened, count: 3, siblingsClosedAt: closed, countsAtMarks: [3] });
    expect(analyze({ open: [site], misuses: [], marks: marks(1) })).toMatchObject([{ level: 'error' }]);
    expect(analyze({ open: [site], misuses: [], marks: marks(1) })[0]).not.toHaveProperty('growth');
  });

  it('grows as a site, whichever of its lines it is that does', () => {
    const sites = [
      openSite({ opened, count: 3, countsAtMarks: [1, 1, 2, 2, 3, 3] }),
      openSite({ opened: elsewhere, count: 3, countsAtMarks: [0, 1, 1, 2, 2, 3] }),
    ];
    expect(analyze({ open: sites, misuses: [], marks: six })).toMatchObject([
      { level: 'error', count: 6, growth: { iterations: 4, grewIn: 4, handlesPerIteration: 1 } },
    ]);
  });

  it('does not grow when what one stack gains another one loses', () => {
    const sites = [
      openSite({ opened, count: 6, countsAtMarks: growing }),
      openSite({
        opened: elsewhere,
        count: 0,
        examples: [],
        countsAtMarks: growing.toReversed(),
        closedAfterMarks: true,
      }),
    ];
    expect(analyze({ open: sites, misuses: [], marks: six })).toMatchObject([{ level: 'warning', count: 6 }]);
  });

  it('counts what is open, and not what was closed after the last mark', () => {
    const sites = [
      openSite({ opened, count: 6, countsAtMarks: growing }),
      openSite({
        opened: elsewhere,
        count: 5,
        examples: [],
        countsAtMarks: [1, 2, 3, 4, 5, 5],
        closedAfterMarks: true,
      }),
    ];
    expect(analyze({ open: sites, misuses: [], marks: six })).toMatchObject([{ level: 'error', count: 6 }]);
  });
});
