import type { MemoryRegion } from '../../process/memory.ts';

const ALLOCATION_GRANULARITY = 0x1_0000n;

type Pages = Pick<MemoryRegion, 'begin' | 'end' | 'isFree' | 'allocationBase'>;

/**
 * Places for so many bytes on the way from one address to another, nearest first. Each query may take a millisecond, so
 * an allocation is one step, however many pages it has. The way down has places that need not be free: only the pages
 * behind an address are known.
 *
 * @param query the pages from an address on; `undefined` where there are none
 */
export function* listFreePlaces(
  query: (address: bigint) => Pages | undefined,
  from: bigint,
  to: bigint,
  sizeBytes: bigint,
): Generator<bigint> {
  if (from < to) yield* listUpwards(query, from, to, sizeBytes);
  else yield* listDownwards(query, from, to > ALLOCATION_GRANULARITY ? to : ALLOCATION_GRANULARITY, sizeBytes);
}

/**
 * The allocations on the way down that {@link listFreePlaces} goes, up to the first place that is free.
 *
 * Whoever took the first free place of this way before lies among them, unless something beside it has gone since.
 */
export function* listTakenPlaces(
  query: (address: bigint) => Pages | undefined,
  from: bigint,
  to: bigint,
  sizeBytes: bigint,
): Generator<bigint> {
  for (let address = from - 1n; address >= to; ) {
    const pages = query(address);
    if (pages === undefined) return;
    if (pages.isFree) {
      address = alignDown(address + 1n - sizeBytes);
      const below = address < to ? undefined : query(address);
      if (below === undefined || (below.isFree && below.end >= address + sizeBytes)) return;
      if (below.isFree) address = below.end;
    } else {
      yield pages.allocationBase;
      address = beginOf(pages, address) - 1n;
    }
  }
}

function* listUpwards(
  query: (address: bigint) => Pages | undefined,
  from: bigint,
  highest: bigint,
  sizeBytes: bigint,
): Generator<bigint> {
  for (let address = from; address <= highest; ) {
    const pages = query(address);
    if (pages === undefined || pages.end <= address) return;
    const place = alignDown(address + ALLOCATION_GRANULARITY - 1n);
    if (pages.isFree && place + sizeBytes <= pages.end && place + sizeBytes <= highest) yield place;
    address = pages.end;
  }
}

function* listDownwards(
  query: (address: bigint) => Pages | undefined,
  from: bigint,
  lowest: bigint,
  sizeBytes: bigint,
): Generator<bigint> {
  for (let address = from - 1n; address >= lowest; ) {
    const pages = query(address);
    if (pages === undefined) return;
    if (pages.isFree) {
      const place = alignDown(address + 1n - sizeBytes);
      if (place < lowest) return;
      yield place;
      address = place - 1n;
    } else {
      address = beginOf(pages, address) - 1n;
    }
  }
}

/** Where the allocation begins that these pages belong to. */
function beginOf({ allocationBase, begin }: Pages, address: bigint): bigint {
  return allocationBase > 0n && allocationBase <= address ? allocationBase : begin;
}

export function alignDown(address: bigint): bigint {
  return address & -ALLOCATION_GRANULARITY;
}
