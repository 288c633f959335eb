import { describe, expect, test } from 'vitest';

import { listFreePlaces, listTakenPlaces } from '../../../../src/agent/inject/free-places.ts';
import type { MemoryRegion } from '../../../../src/process/memory.ts';

type Pages = Omit<MemoryRegion, 'isCommitted' | 'type'>;

const PAGE = 0x1000n;
const SIZE = 0x3_0000n;

/** An address space with some allocations, ascending; counts the queries. */
class Space {
  queries = 0;
  readonly #used: readonly (readonly [begin: bigint, end: bigint])[];

  constructor(...used: readonly (readonly [begin: bigint, end: bigint])[]) {
    this.#used = used;
  }

  /** As VirtualQueryEx: the pages begin with the one that was asked about. */
  readonly query = (address: bigint): Pages | undefined => {
    this.queries++;
    if (address < 0n || address >= 0x8000_0000n) return undefined;
    const begin = address & -PAGE;
    const inside = this.#used.find(([from, end]) => address >= from && address < end);
    const [next = 0x8000_0000n] = this.#used.map(([from]) => from).filter((from) => from > address);
    const end = inside?.[1] ?? next;
    return { begin, end, isFree: inside === undefined, allocationBase: inside?.[0] ?? 0n };
  };

  isFree(place: bigint): boolean {
    return this.#used.every(([begin, end]) => place + SIZE <= begin || place >= end);
  }

  /** The first place of the list that is free. */
  find(from: bigint, to: bigint): bigint | undefined {
    for (const place of listFreePlaces(this.query, from, to, SIZE)) if (this.isFree(place)) return place;
    return undefined;
  }
}

describe('a place for the agent', () => {
  test('is right below where the way down begins, if that is free', () => {
    expect(new Space().find(0x4000_0000n, 0x1000_0000n)).toBe(0x4000_0000n - SIZE);
  });

  test('is below an allocation of any size, which takes one query', () => {
    const space = new Space([0x3000_0000n, 0x4100_0000n]);
    expect(space.find(0x4000_0000n, 0x1000_0000n)).toBe(0x3000_0000n - SIZE);
    expect(space.queries).toBe(2);
  });

  test('is below a gap that is too small', () => {
    const space = new Space([0x3000_0000n, 0x3fff_0000n], [0x3fff_1000n, 0x4100_0000n]);
    expect(space.find(0x4000_0000n, 0x1000_0000n)).toBe(0x3000_0000n - SIZE);
  });

  test('is above an allocation on the way up', () => {
    const space = new Space([0x3000_0000n, 0x4100_1000n]);
    expect(space.find(0x4000_0000n, 0x6000_0000n)).toBe(0x4101_0000n);
  });

  test('is not beyond the end of the way', () => {
    const space = new Space([0x1000_0000n, 0x7000_0000n]);
    expect(space.find(0x4000_0000n, 0x1000_0000n)).toBeUndefined();
    expect(space.find(0x4000_0000n, 0x7000_0000n)).toBeUndefined();
    expect(space.find(0x4000_0000n, 0x0fff_0000n)).toBeUndefined();
  });

  test('is nowhere in a process that has ended', () => {
    expect([...listFreePlaces(() => undefined, 0x4000_0000n, 0x1000_0000n, SIZE)]).toEqual([]);
  });
});

describe('the places that were taken before', () => {
  const taken = (space: Space): readonly string[] =>
    [...listTakenPlaces(space.query, 0x4000_0000n, 0x1000_0000n, SIZE)].map((place) => place.toString(16));

  test('are the allocations above the first place that is free', () => {
    const space = new Space([0x1000_0000n, 0x1100_0000n], [0x3ff0_0000n, 0x3ff3_0000n], [0x3ff3_0000n, 0x4100_0000n]);
    expect(taken(space)).toEqual(['3ff30000', '3ff00000']);
    expect(space.find(0x4000_0000n, 0x1000_0000n)).toBe(0x3fed_0000n);
  });

  test('go on below a gap that is too small', () => {
    const space = new Space([0x3ff0_0000n, 0x3ff8_0000n], [0x3ff9_0000n, 0x4100_0000n]);
    expect(taken(space)).toEqual(['3ff90000', '3ff00000']);
  });

  test('are none where the first place is free', () => {
    expect(taken(new Space())).toEqual([]);
  });

  test('end where the way ends, and in a process that has ended', () => {
    expect(taken(new Space([0x0800_0000n, 0x7000_0000n]))).toEqual(['8000000']);
    expect(taken(new Space([0x1001_0000n, 0x7000_0000n]))).toEqual(['10010000']);
    expect([...listTakenPlaces(() => undefined, 0x4000_0000n, 0x1000_0000n, SIZE)]).toEqual([]);
  });
});
