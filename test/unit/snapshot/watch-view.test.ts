import { describe, expect, it } from 'vitest';

import { type GrowthSample, judgeGrowth } from '../../../src/analyze/growth/growth.ts';
import { parseDuration } from '../../../src/cli/duration.ts';
import { spellDuration } from '../../../src/text/duration.ts';
import { spellChange } from '../../../src/cli/numbers.ts';
import { spellNumber } from '../../../src/report/numbers.ts';
import { drawChart, drawLine, drawScreen, drawVerdict, spellRate } from '../../../src/cli/watch-view.ts';
import { textWidth } from '../../../src/report/text-width.ts';
import { createTheme } from '../../../src/report/theme.ts';

const theme = createTheme({ colorLevel: 0, columns: 80 });
const target = { pid: 4242, image: 'app\x1b[31m.exe' };

function growing(length: number, gui: boolean = false): readonly GrowthSample[] {
  return Array.from({ length }, (_, index) => ({
    timeMs: index * 1000,
    handleCount: 200 + 10 * index + (index % 2),
    types: new Map([
      ['Event', 100 + 10 * index],
      ['File', 50],
      ['Key', 50 + (index % 2)],
      ...(index > 0 ? [['Timer', 1] as const] : []),
    ]),
    ...(gui ? { gui: { gdi: 100 + 5 * index, user: 10 } } : {}),
  }));
}

describe('a duration', () => {
  it.each([
    ['500ms', 500],
    ['1s', 1000],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['576h', 2_073_600_000],
  ])('%s is understood', (text, durationMs) => {
    expect(parseDuration(text, 1)).toBe(durationMs);
  });

  it.each(['', '1', 's', '-1s', '1 s', '1d', '1e3s', 'ms', '0s', '0.5ms', '577h', '٣s', '1s2'])(
    '"%s" is refused with a sentence',
    (text) => {
      expect(() => parseDuration(text, 1)).toThrow(/^[A-Z][^\n]+\.$/);
    },
  );

  it.each([
    [850, '850 ms'],
    [12_500, '12.5 s'],
    [59_960, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [18_600_000, '5 h 10 min'],
    [1_051_200_000, '12 d 4 h'],
    [94_672_800_000, '3 years'],
    [1e18, 'more than 1,000 years'],
  ])('of %d ms is spelled %s', (durationMs, text) => {
    expect(spellDuration(durationMs)).toBe(text);
  });
});

describe('a number', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1_234_567, '1,234,567'],
    [-1234, '-1,234'],
  ])('%d is spelled %s', (number, text) => {
    expect(spellNumber(number)).toBe(text);
  });

  it.each([
    [5, '+5'],
    [0, '0'],
    [-5, '-5'],
    [1234, '+1,234'],
  ])('as a change, %d is spelled %s', (change, text) => {
    expect(spellChange(change)).toBe(text);
  });

  it.each([
    [0, '0'],
    [12.34, '+12.3/s'],
    [1, '+1/s'],
    [-2.5, '-2.5/s'],
    [1234.5, '+1,235/s'],
    [0.5, '+30/min'],
    [-0.01, '-36/h'],
    [0.001, '+3.6/h'],
  ])('as a rate, %d a second is spelled %s', (rate, text) => {
    expect(spellRate(rate)).toBe(text);
  });
});

describe('a chart', () => {
  it.each([
    [[1, 2, 3, 4, 5, 6, 7, 8], 10, '▁▂▃▄▅▆▇█'],
    [[5, 5, 5], 10, '▁▁▁'],
    [[0, 100, 0, 100], 10, '▁█▁█'],
    [[7], 10, '▁'],
    [[1, 9, 2, 9, 3, 9, 4, 8], 4, '████'.replace(/.$/, '▁')],
  ])('of %j in %d cells is %s', (counts, width, chart) => {
    expect(drawChart(counts, width)).toBe(chart);
  });

  it('never is wider than its cells', () => {
    for (let length = 1; length < 300; length++)
      expect(
        drawChart(
          Array.from({ length }, (_, i) => i),
          30,
        ).length,
      ).toBeLessThanOrEqual(30);
  });
});

describe('the screen', () => {
  it('shows every count with its change, rate and chart, and nothing that a terminal would obey', () => {
    const lines = drawScreen(target, growing(10, true), 1000, theme, 80).split('\n');
    expect(lines[0]).toBe('app\\x1b[31m.exe (4242), 9 s, every 1 s; Ctrl-C ends');
    expect(lines[1]).toBe('              COUNT  CHANGE   RATE');
    expect(lines[2]).toMatch(/^handles         291     \+91  \+10[.\d]*\/s  ▁[▁-█]+█$/);
    expect(lines[3]).toMatch(/^GDI objects     145     \+45   \+5\/s /);
    expect(lines.at(-1)).toBe('');
  });

  it.each([40, 60, 80, 200])('fits into %d columns', (columns) => {
    for (const line of drawScreen({ pid: 1, image: 'x'.repeat(300) }, growing(50, true), 1000, theme, columns).split(
      '\n',
    )) {
      expect(textWidth(line)).toBeLessThan(columns);
    }
  });
});

describe('the line of an interval', () => {
  it('has the sums, and the types that moved', () => {
    expect(drawLine(growing(1))).toBe('    0 ms  handles 200\n');
    expect(drawLine(growing(3))).toMatch(
      /^ {5}2 s {2}handles 220 \(\+20, \+10\/s\) {2}Event 120 \(\+20, \+10\/s\) {2}Timer 1 \(\+1, [^)]+\)\n$/,
    );
  });
});

describe('the verdict', () => {
  const draw = (samples: readonly GrowthSample[]): string =>
    drawVerdict(target, judgeGrowth(samples), 'time is over', undefined, theme, 100);

  it('names what grows steadily, the limits that it will reach, and the way to the call sites', () => {
    const text = draw(growing(20, true));
    expect(text).toContain('✗ Event grows steadily, by +10/s: 100 → 290.');
    expect(text).toContain('✗ GDI objects grow steadily, by +5/s: 100 → 195.');
    expect(text).toContain(
      '  At this rate the process has 10,000 GDI objects, the most that Windows allows, in 32 min 41 s.',
    );
    expect(text).toMatch(/At this rate the process has 16,777,216 handles, the most that Windows allows, in \d+ d/);
    expect(text).toContain('unclosed run -- app\\x1b[31m.exe …');
    expect(text).not.toContain('USER objects');
  });

  it('says when nothing grows, and that too little was seen when it was', () => {
    const still = Array.from({ length: 20 }, (_, index) => ({
      timeMs: index * 1000,
      handleCount: 5,
      types: new Map([['Event', 5]]),
    }));
    expect(draw(still)).toBe('app\\x1b[31m.exe (4242): 20 samples in 19 s; time is over.\n✓ Nothing grows steadily.\n');
    expect(draw(growing(7))).toContain('? Too few samples for a verdict: 8 are needed.');
    expect(draw([])).toContain('0 samples in 0 ms');
  });

  it('tells what moved otherwise, and why that is not steady', () => {
    const saw = Array.from({ length: 40 }, (_, index) => ({
      timeMs: index * 1000,
      handleCount: 5 + (index % 10),
      types: new Map([['Event', 5 + (index % 10)]]),
    }));
    expect(draw(saw)).toMatch(/✓ Nothing grows steadily\.\n {2}Moved otherwise: Event 5 → 14 \(not growing\)\.\n$/);
  });

  it('foresees the handle limit by what grows, when the sum of all handles rises and falls', () => {
    const samples = Array.from({ length: 40 }, (_, index) => ({
      timeMs: index * 1000,
      handleCount: 100 + index + 500 * (index % 8),
      types: new Map([
        ['Event', 100 + index],
        ['File', 500 * (index % 8)],
      ]),
    }));
    const { growing: found, limits } = judgeGrowth(samples);
    expect(found.map(({ what }) => what)).toEqual(['Event']);
    expect(limits).toMatchObject([{ what: 'handles', limit: 16_777_216 }]);
  });
});
