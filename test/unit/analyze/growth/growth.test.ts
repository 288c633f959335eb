import { describe, expect, it } from 'vitest';

import { type GrowthSample, judgeGrowth } from '../../../../src/analyze/growth/growth.ts';
import { SAMPLES_MIN } from '../../../../src/analyze/growth/trend.ts';

type Counts = Readonly<Record<string, number>>;

/** Samples, one each second, of types whose counts the moment gives. */
function watch(
  length: number,
  countsAt: (second: number) => Counts,
  gui?: (second: number) => number,
): readonly GrowthSample[] {
  return Array.from({ length }, (_, second) => {
    const types = new Map(Object.entries(countsAt(second)));
    const handleCount = [...types.values()].reduce((sum, count) => sum + count, 0);
    return {
      timeMs: 5000 + 1000 * second,
      handleCount,
      types,
      ...(gui === undefined ? {} : { gui: { gdi: gui(second), user: 7 } }),
    };
  });
}

const leak = (second: number): Counts => ({ Event: 100 + 10 * second, File: 50 });

describe('the growth of a process', () => {
  it('has the sum of handles first, then the types by name, with their first and last counts', () => {
    const { counts } = judgeGrowth(watch(30, leak));
    expect(counts.map(({ what, first, last }) => [what, first, last])).toEqual([
      ['handles', 150, 440],
      ['Event', 100, 390],
      ['File', 50, 50],
    ]);
  });

  it('takes a type for 0 where a sample lacks it', () => {
    const { counts } = judgeGrowth(watch(30, (second) => (second < 3 || second > 20 ? {} : { Timer: 4 })));
    expect(counts.find(({ what }) => what === 'Timer')).toMatchObject({ first: 0, last: 0 });
  });

  it('lists what grows steadily, the fastest first, and never the sum', () => {
    const samples = watch(40, (second) => ({ Event: second, File: 5 * second, Key: 3, Timer: second % 2 }));
    expect(judgeGrowth(samples).growing.map(({ what }) => what)).toEqual(['File', 'Event']);
  });

  it('says when handles reach their limit, from the last sample on', () => {
    const [limit, ...others] = judgeGrowth(watch(30, leak)).limits;
    expect(others).toEqual([]);
    expect(limit).toMatchObject({ what: 'handles', count: 440, limit: 16_777_216 });
    expect(limit!.timeToLimitMs).toBeCloseTo(((16_777_216 - 440) / 10) * 1000, -4);
  });

  it('says that a sum approaches its limit by the types that only grow, though others rise and fall', () => {
    const samples = watch(60, (second) => ({ Event: 2 * second, Socket: [0, 900, 40, 700, 90][second % 5]! }));
    const { counts, limits } = judgeGrowth(samples);
    expect(counts[0]).toMatchObject({ what: 'handles', isSteady: false });
    expect(limits.map(({ what }) => what)).toEqual(['handles']);
    expect(limits[0]!.timeToLimitMs).toBeGreaterThan(((16_777_216 - 2000) / 2) * 1000 * 0.9);
  });

  it('has no limit where nothing grows', () => {
    expect(
      judgeGrowth(
        watch(
          30,
          () => ({ File: 50 }),
          () => 40,
        ),
      ),
    ).toMatchObject({ growing: [], limits: [] });
  });

  it('has no limit where objects of windows rest beyond the usual one, as the registry may allow', () => {
    const resting = watch(
      30,
      () => ({ File: 50 }),
      () => 12_000,
    );
    expect(judgeGrowth(resting)).toMatchObject({ growing: [], limits: [] });
  });

  it('counts the objects of windows where every sample has them, with limits of their own', () => {
    const samples = watch(
      30,
      () => ({ File: 50 }),
      (second) => 100 + 5 * second,
    );
    const { counts, growing, limits } = judgeGrowth(samples);
    expect(counts.map(({ what, last }) => [what, last])).toEqual([
      ['handles', 50],
      ['GDI objects', 245],
      ['USER objects', 7],
      ['File', 50],
    ]);
    expect(growing.map(({ what }) => what)).toEqual(['GDI objects']);
    expect(limits).toMatchObject([{ what: 'GDI objects', count: 245, limit: 10_000 }]);
    const { gui: _gui, ...without } = samples[3]!;
    const mixed = judgeGrowth([...samples.slice(0, 3), without, ...samples.slice(4)]);
    expect(mixed.counts.map(({ what }) => what)).toEqual(['handles', 'File']);
  });

  it('does not count the objects of windows for handles', () => {
    const samples = watch(
      60,
      (second) => ({ Socket: [0, 900, 40, 700, 90][second % 5]! }),
      (second) => second,
    );
    expect(judgeGrowth(samples).limits.map(({ what }) => what)).toEqual(['GDI objects']);
  });

  it.each([
    [0, 0, true],
    [1, 0, true],
    [SAMPLES_MIN - 1, (SAMPLES_MIN - 2) * 1000, true],
    [SAMPLES_MIN, (SAMPLES_MIN - 1) * 1000, false],
  ])('of %d samples took %d ms, and is too short to judge: %s', (length, durationMs, isTooShort) => {
    expect(judgeGrowth(watch(length, leak))).toMatchObject({ sampleCount: length, durationMs, isTooShort });
  });

  it('of no sample has the sum alone, of nothing', () => {
    expect(judgeGrowth([]).counts).toMatchObject([{ what: 'handles', first: 0, last: 0, isSteady: false }]);
  });
});
