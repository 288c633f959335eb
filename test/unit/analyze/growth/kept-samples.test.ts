import { describe, expect, it } from 'vitest';

import { KeptSamples } from '../../../../src/analyze/growth/kept-samples.ts';
import { type CountSample, judgeTrend } from '../../../../src/analyze/growth/trend.ts';

const HOUR = 3600;

function keep(length: number, max: number, count: (index: number) => number = () => 0): readonly CountSample[] {
  const samples = new KeptSamples<CountSample>(max);
  for (let index = 0; index < length; index++) samples.add({ timeMs: index * 1000, count: count(index) });
  return samples.all;
}

describe('the samples that are kept', () => {
  it('are all of them while there are few', () => {
    expect(keep(8, 8).map(({ timeMs }) => timeMs / 1000)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it.each([7, 8])('are at most %d, at even distances, with the first and the last', (max) => {
    for (let length = 1; length < 200; length++) {
      const times = keep(length, max).map(({ timeMs }) => timeMs / 1000);
      const distances = times.slice(1).map((time, index) => time - times[index]!);
      expect(times.length).toBeLessThanOrEqual(max);
      expect([times[0], times.at(-1)]).toEqual([0, length - 1]);
      expect(new Set(distances.slice(0, -1)).size).toBeLessThanOrEqual(1);
      expect(distances.at(-1) ?? 0).toBeLessThanOrEqual(distances[0] ?? 0);
    }
  });

  it.each([
    ['a leak of a whole day', (index: number) => 100 + index, undefined],
    ['a rise after 22 hours of rest', (index: number) => 100 + Math.max(0, index - 22 * HOUR), 'not growing'],
    ['a cache that is emptied every 8 hours', (index: number) => 100 + (index % (8 * HOUR)), 'not all the time'],
  ] as const)('show the truth of %s', (_, count, doubt) => {
    const { isSteady, doubt: found } = judgeTrend(keep(24 * HOUR - 60, 4096, count));
    expect([isSteady, found]).toEqual([doubt === undefined, doubt]);
  });
});
