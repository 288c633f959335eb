import { describe, expect, it } from 'vitest';

import type { LedgerLife } from '../../../src/call-ledger.ts';
import { judgeIterations } from '../../../src/analyze/growth/iterations.ts';
import { MarkCounts } from '../../../src/marks/mark-counts.ts';
import { randomNumbers } from '../symbols/bytes.ts';

/** Open handles, as many of each site as the argument says; a site is a stack. */
class CountingLedger {
  counts: readonly number[] = [];

  *openValues(): Generator<bigint> {
    for (const [site, count] of this.counts.entries()) {
      for (let index = 0; index < count; index++) yield BigInt(site * 1_000_000 + index);
    }
  }

  objects: readonly { readonly value: bigint; readonly life: LedgerLife }[] = [];

  openObjects(): readonly { readonly value: bigint; readonly life: LedgerLife }[] {
    return this.objects;
  }

  life(value: bigint): LedgerLife {
    const stackId = 1 + Math.floor(Number(value) / 1_000_000);
    return {
      isOpen: true,
      generation: 1n,
      objectType: 'Event',
      opened: { call: 'NtCreateEvent', threadId: 1, time: 0n, stackId },
      closed: undefined,
    };
  }
}

/** Makes so many marks, and returns the counts that are kept. */
async function countAtMarks(
  countsAt: (mark: number) => readonly number[],
  markCount: number,
  countsMax?: number,
): Promise<MarkCounts> {
  const ledger = new CountingLedger();
  const counts = new MarkCounts(ledger, 0, countsMax);
  for (let mark = 1; mark <= markCount; mark++) {
    ledger.counts = countsAt(mark);
    await counts.take(1, 0);
  }
  return counts;
}

const seriesOf = (counts: MarkCounts): readonly (readonly number[])[] =>
  [...counts.sites.values()].map((site) => site.counts);

describe('counts at marks', () => {
  it('are also those of objects that no handle stands for', async () => {
    const ledger = new CountingLedger();
    const counts = new MarkCounts(ledger, 0);
    const life = { ...ledger.life(4n), objectType: 'PseudoConsole' };
    for (const count of [1, 2]) {
      ledger.objects = Array.from({ length: count }, (_, index) => ({ value: 0x7f0n + BigInt(index), life }));
      await counts.take(1, 0);
    }
    expect([...counts.sites.values()]).toMatchObject([{ objectType: 'PseudoConsole', counts: [1, 2] }]);
  });

  it('hold how many handles are left, by type, that were open before recording began', async () => {
    const ledger = new CountingLedger();
    const counts = new MarkCounts(ledger, 0);
    const before: LedgerLife = { ...ledger.life(4n), opened: { ...ledger.life(4n).opened!, call: undefined } };
    for (const left of [2, 1, 0]) {
      ledger.objects = Array.from({ length: left }, (_, index) => ({ value: BigInt(index), life: before }));
      await counts.take(1, 0);
    }
    expect(counts.marks.map(({ openBefore }) => openBefore?.get('Event'))).toEqual([2, 1, undefined]);
    expect(counts.sites.size).toBe(0);
  });

  it('are kept one by one as long as there is room', async () => {
    const counts = await countAtMarks((mark) => [mark, 2 * mark], 100);
    expect(counts.marks.map(({ iterations }) => iterations)).toEqual(Array(100).fill(1));
    expect(seriesOf(counts)[1]).toEqual(Array.from({ length: 100 }, (_, index) => 2 * (index + 1)));
    expect(counts.gap).toBeUndefined();
  });

  it('are no more than there is room for, and hold all iterations', async () => {
    const counts = await countAtMarks((mark) => [1, 2, mark % 5], 5000, 1000);
    expect(counts.marks.length * (1 + counts.sites.size)).toBeLessThanOrEqual(1000);
    expect(counts.marks.length).toBeGreaterThan(100);
    expect(counts.marks.reduce((sum, { iterations }) => sum + iterations, 0)).toBe(5000);
    for (const series of seriesOf(counts)) expect(series).toHaveLength(counts.marks.length);
    expect(counts.gap).toEqual({ kind: 'marks-joined', iterations: 5000 });
  });

  it('leave enough marks to judge growth by, however many sites there are', async () => {
    const counts = await countAtMarks((mark) => Array(40).fill(mark), 60, 100);
    expect(counts.sites.size).toBe(40);
    expect(counts.marks.length).toBeGreaterThanOrEqual(12);
    expect(counts.marks.length).toBeLessThanOrEqual(16);
    expect(judgeIterations(seriesOf(counts)[7]!, counts.marks)?.growsAlways).toBe(true);
  });

  it.each<[sentence: string, countAt: (mark: number) => number, growsAlways: boolean]>([
    ['of a leak grow always', (mark) => mark, true],
    ['of a leak of two handles grow always', (mark) => 2 * mark, true],
    ['of a leak that began late do not grow always', (mark) => Math.max(0, mark - 100), false],
    ['of a cache that is full do not grow', (mark) => Math.min(mark, 50), false],
    ['of a pool that grows by two now and then do not grow always', (mark) => 2 * Math.floor(mark / 2), false],
    ['of a site that rests in the last iteration do not grow always', (mark) => Math.min(mark, 399), false],
  ])('%s, whether they are all kept or not', async (_, countAt, growsAlways) => {
    for (const countsMax of [undefined, 100]) {
      const counts = await countAtMarks((mark) => [countAt(mark)], 400, countsMax);
      const verdict = judgeIterations(seriesOf(counts)[0]!, counts.marks);
      expect(verdict?.growsAlways, `of ${counts.marks.length} marks`).toBe(growsAlways);
    }
  });

  it('end as they would if all were kept', async () => {
    const random = randomNumbers(3);
    const all = Array.from({ length: 500 }, () => [random(9), random(90)]);
    const whole = await countAtMarks((mark) => all[mark - 1]!, all.length);
    const joined = await countAtMarks((mark) => all[mark - 1]!, all.length, 200);
    expect(joined.marks.length).toBeLessThan(whole.marks.length / 4);
    const newest = Math.floor(joined.marks.length / 4);
    for (const [index, series] of seriesOf(joined).entries())
      expect(series.slice(-newest)).toEqual(seriesOf(whole)[index]!.slice(-newest));
  });
});
