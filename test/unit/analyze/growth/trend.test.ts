import { describe, expect, it } from 'vitest';

import { type CountSample, judgeTrend, SAMPLES_MIN, timeToReachMs } from '../../../../src/analyze/growth/trend.ts';
import { randomNumbers } from '../../report/hostile.ts';

function series(length: number, count: (index: number) => number, intervalMs = 1000): readonly CountSample[] {
  return Array.from({ length }, (_, index) => ({ timeMs: index * intervalMs, count: count(index) }));
}

describe('the slope', () => {
  it.each([
    ['of a straight line is its own', series(20, (i) => 100 + 3 * i), 3],
    ['of a falling line is negative', series(20, (i) => 100 - 2 * i), -2],
    ['of a constant is zero', series(20, () => 42), 0],
    ['of one sample is zero', series(1, () => 42), 0],
    ['of nothing is zero', [], 0],
    ['is per second, whatever the interval', series(20, (i) => i, 500), 2],
    ['is not moved by wild samples', series(40, (i) => (i % 10 === 5 ? 90_000 : 100 + i)), 1],
    ['of a step every five samples is the step’s fifth', series(60, (i) => Math.floor(i / 5)), 0.2],
  ] as const)('%s', (_, samples, slope) => {
    expect(judgeTrend(samples).slopePerSecond).toBeCloseTo(slope, 1);
  });

  it('ignores samples of one and the same time', () => {
    expect(
      judgeTrend([
        { timeMs: 0, count: 1 },
        { timeMs: 0, count: 9 },
        { timeMs: 1000, count: 5 },
      ]).slopePerSecond,
    ).toBe(0);
  });
});

describe('a count grows steadily', () => {
  it.each([
    ['one handle a second', series(30, (i) => 100 + i)],
    ['the fewest samples that can tell', series(SAMPLES_MIN, (i) => 100 + i)],
    ['one handle every ten seconds', series(60, (i) => 100 + Math.floor(i / 10))],
    ['a burst of fifty handles every five seconds', series(60, (i) => 100 + 50 * Math.floor(i / 5))],
    ['noise a tenth as large as the growth', series(60, (i) => 100 + 10 * i + ((i * 37) % 61))],
    ['one wild sample', series(60, (i) => (i === 30 ? 5000 : 100 + i))],
    ['a leak below a cache that is emptied again and again', series(120, (i) => 100 + 5 * i + 10 * (i % 10))],
    ['ten thousand samples', series(10_000, (i) => i)],
  ])('with %s', (_, samples) => {
    expect(judgeTrend(samples)).toMatchObject({ isSteady: true });
    expect(judgeTrend(samples)).not.toHaveProperty('doubt');
  });

  it('for every rate, length and interval, with noise a tenth as large as the growth', () => {
    const random = randomNumbers(7);
    for (let round = 0; round < 500; round++) {
      const length = 24 + random(200);
      const slope = 1 + random(50);
      const noise = Math.floor((slope * length) / 10);
      const samples = series(length, (i) => 1000 + slope * i + random(noise + 1), 100 + random(5000));
      expect(judgeTrend(samples), `round ${round}`).toMatchObject({ isSteady: true });
    }
  });
});

describe('a count does not grow steadily', () => {
  it.each([
    ['a constant', series(60, () => 42), 'not growing'],
    ['a fall', series(60, (i) => 1000 - i), 'not growing'],
    ['nothing at all', [], 'too few samples'],
    ['too few samples', series(SAMPLES_MIN - 1, (i) => i), 'too few samples'],
    ['one jump', series(60, (i) => (i < 31 ? 100 : 200)), 'not all the time'],
    ['two jumps', series(60, (i) => (i < 20 ? 100 : i < 40 ? 150 : 200)), 'not all the time'],
    ['a start-up that levels off', series(60, (i) => 500 * (1 - Math.exp(-i / 6))), 'not all the time'],
    ['a count that grew and was given back in part', series(60, (i) => (i < 55 ? 10 * i : 200)), 'falls back'],
    ['a fall that has only begun', series(60, (i) => (i < 59 ? 10 * i : 0)), 'falls back'],
    ['a jump at the very end', series(60, (i) => (i < 58 ? 100 : 500)), 'not growing'],
  ] as const)('when it is %s', (_, samples, doubt) => {
    expect(judgeTrend(samples)).toMatchObject({ isSteady: false, doubt });
  });

  it('when it is a sawtooth with at least one fall in sight: any period, phase, height and noise', () => {
    const random = randomNumbers(1);
    for (let round = 0; round < 500; round++) {
      const length = SAMPLES_MIN + random(300);
      const period = 4 + random(length);
      // At least three samples after the last fall: a single one may be an outlier.
      const phase =
        period >= length - 3 ? period - 3 - random(Math.max(1, Math.min(period, length) - 6)) : random(period);
      const height = 30 + random(1000);
      const noise = random(Math.floor(height / 20) + 1);
      const samples = series(
        length,
        (i) => 100 + Math.floor((((i + phase) % period) * height) / period) + random(noise + 1),
      );
      expect(
        judgeTrend(samples).isSteady,
        `round ${round}: length ${length}, period ${period}, phase ${phase}, height ${height}`,
      ).toBe(false);
    }
  });

  it('when it is noise, but for one series in a thousand', () => {
    const random = randomNumbers(2);
    let steady = 0;
    for (let round = 0; round < 5000; round++) {
      const height = 2 + random(500);
      if (judgeTrend(series(SAMPLES_MIN + random(60), () => 100 + random(height))).isSteady) steady++;
    }
    expect(steady).toBeLessThanOrEqual(5);
  });

  it('in a falling mirror image of any series', () => {
    const random = randomNumbers(3);
    for (let round = 0; round < 500; round++) {
      const samples = series(SAMPLES_MIN + random(60), (i) => random(20) + i * random(3));
      const mirrored = samples.map(({ timeMs, count }) => ({ timeMs, count: -count }));
      expect(judgeTrend(samples).isSteady && judgeTrend(mirrored).isSteady).toBe(false);
      expect(judgeTrend(mirrored).slopePerSecond).toBeCloseTo(-judgeTrend(samples).slopePerSecond, 9);
    }
  });
});

describe('the time to a limit', () => {
  it.each([
    [100, 10_000, 1, 9_900_000],
    [100, 10_000, 0, undefined],
    [100, 10_000, -3, undefined],
    [10_000, 10_000, 1, 0],
    [20_000, 10_000, -1, 0],
  ])('from %d to %d at %d a second', (count, limit, slope, expected) => {
    expect(timeToReachMs(count, limit, slope)).toBe(expected);
  });
});
