// Reads a ledger while the agent writes it: the stores of the agent come one by one, between any two reads.
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { earlierLifeOffset } from '../../../../src/agent/ledger/earlier-life.ts';
import { elsewhere, OPENED_ELSEWHERE } from '../../../../src/agent/ledger/elsewhere.ts';
import { ELSEWHERE_OFFSET, header, slot, SLOT_SIZE_BYTES } from '../../../../src/agent/ledger/layout.ts';
import { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { objectTypes } from '../../../../src/agent/tables/object-types.ts';
import type { LedgerCall, LedgerLife } from '../../../../src/call-ledger.ts';
import { bytes, earlierLivesOffset, emptyLedger, layout, rowNumber, slotOffset, view } from '../written-ledger.ts';

type Store = () => void;
const VALUE = 0x40n;
const at = slotOffset(VALUE);

const isOdd = (generation: number): boolean => generation % 2 === 1;
const callOf = (generation: number): string => (isOdd(generation) ? 'NtCreateEvent' : 'NtCreateFile');
const typeOf = (generation: number): string => (isOdd(generation) ? 'Event' : 'File');
const opening = (generation: number): LedgerCall => ({
  call: callOf(generation),
  threadId: 100 + generation,
  time: 1000n + BigInt(generation),
  stackId: 10_000 + generation,
});
const closing = (generation: number): LedgerCall => ({
  call: isOdd(generation) ? 'NtClose' : 'NtDuplicateObject',
  threadId: 200 + generation,
  time: 2000n + BigInt(generation),
  stackId: 20_000 + generation,
});

function storeStack(offset: number, generation: number, stackId: number): void {
  view.setBigUint64(offset, (BigInt(generation) << 32n) | BigInt(stackId), true);
}

/** The stores of an opening (recorder.ts, earlier-lives.ts), in their order. */
function open(generation: number): readonly Store[] {
  const { call = '', threadId, time, stackId } = opening(generation);
  const before = BigInt(generation - 1);
  const life = earlierLivesOffset(VALUE) + earlierLifeOffset(before, layout.history);
  const keptWords = ['openedStack', 'openedTime', 'openedThread', 'closedStack', 'closedTime', 'closedThread'] as const;
  const kept = keptWords.map((word): Store => {
    return () => view.setBigUint64(life + slot[word], view.getBigUint64(at + slot[word], true), true);
  });
  return [
    ...(generation === 1 ? [] : kept),
    () => storeStack(at + slot.openedStack, generation, stackId),
    () => view.setBigUint64(at + slot.openedTime, time, true),
    () => view.setUint32(at + slot.openedThread, threadId, true),
    () => {
      view.setUint16(at + slot.openedCall, rowNumber(call), true);
      view.setUint16(at + slot.objectType, (objectTypes as readonly string[]).indexOf(typeOf(generation)), true);
    },
    () => view.setBigUint64(at + slot.state, BigInt(generation * 2 + 1), true),
  ];
}

/** The stores of a close. */
function close(generation: number): readonly Store[] {
  const { call = '', threadId, time, stackId } = closing(generation);
  return [
    () => view.setBigUint64(at + slot.state, BigInt(generation * 2), true),
    () => view.setBigUint64(at + slot.closedTime, time, true),
    () => view.setUint32(at + slot.closedThread, threadId, true),
    () => view.setUint16(at + slot.closedCall, rowNumber(call), true),
    () => storeStack(at + slot.closedStack, generation, stackId),
  ];
}

let stores: Store[] = [];
/** Reads before the agent's next stores, and how many of these come at each read from then on. */
let pace = { wait: 0, stores: 0 };

function goOn(): void {
  pace = { ...pace, wait: pace.wait - 1 };
  if (pace.wait >= 0) return;
  for (const store of stores.splice(0, pace.stores)) store();
}

class MovingView extends DataView<ArrayBuffer> {
  override getUint8(offset: number): number {
    goOn();
    return super.getUint8(offset);
  }
  override getUint16(offset: number, isLittle?: boolean): number {
    goOn();
    return super.getUint16(offset, isLittle);
  }
  override getUint32(offset: number, isLittle?: boolean): number {
    goOn();
    return super.getUint32(offset, isLittle);
  }
  override getBigUint64(offset: number, isLittle?: boolean): bigint {
    goOn();
    return super.getBigUint64(offset, isLittle);
  }
}

/** Reads before the first stores, and stores at each read from then on. A life and the next one have 16 stores. */
const paces = Array.from({ length: 20 }, (_, wait) =>
  [1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 16, 17, 33].map((count) => ({ wait, stores: count })),
).flat();

function forEachPace(prepare: () => readonly Store[], read: (ledger: Ledger) => void): void {
  for (const each of paces) {
    bytes.fill(0, at, at + SLOT_SIZE_BYTES);
    bytes.fill(0, earlierLivesOffset(VALUE), earlierLivesOffset(VALUE) + layout.earlierLivesSizeBytes);
    stores = [...prepare()];
    pace = each;
    read(new Ledger((offset, sizeBytes) => new MovingView(view.buffer as ArrayBuffer, offset, sizeBytes), layout));
  }
}

beforeEach(() => {
  emptyLedger();
  const load = Atomics.load as (array: Uint32Array<ArrayBuffer>, index: number) => number;
  vi.spyOn(Atomics, 'load').mockImplementation(((array: Uint32Array<ArrayBuffer>, index: number) => {
    goOn();
    return load(array, index);
  }) as typeof Atomics.load);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a life that is read while the agent goes on', () => {
  const prepare = (): readonly Store[] => {
    for (const store of [...open(1), ...close(1), ...open(2)]) store();
    return Array.from({ length: 10 }, (_, index) => [...close(index + 2), ...open(index + 3)]).flat();
  };
  /** Each of its calls is that of its generation, or absent. */
  const isWhole = ({ generation, objectType, opened, closed }: LedgerLife): boolean => {
    const number = Number(generation);
    return (
      isDeepStrictEqual([opened, objectType], opened ? [opening(number), typeOf(number)] : [undefined, 'Unknown']) &&
      isDeepStrictEqual(closed, closed && closing(number))
    );
  };

  it('has no call that is a mixture of two', () => {
    const lives: LedgerLife[] = [];
    forEachPace(prepare, (ledger) => lives.push(ledger.life(VALUE)!));
    expect(lives.filter((life) => !isWhole(life))).toEqual([]);
    expect(new Set(lives.map(({ generation }) => generation)).size).toBeGreaterThan(3);
  });

  it('leaves out earlier lives that have made room meanwhile', () => {
    const lives: LedgerLife[] = [];
    forEachPace(prepare, (ledger) => lives.push(...ledger.earlierLives(VALUE, ledger.life(VALUE)!)));
    expect(lives.filter((life) => !isWhole(life))).toEqual([]);
    expect(lives.length).toBeGreaterThan(100);
  });
});

describe('a call about another process’s handle that is read while the agent goes on', () => {
  const note = (number: number): readonly Store[] => {
    const { call = '', threadId, time, stackId } = opening(number);
    return [
      () => view.setBigUint64(ELSEWHERE_OFFSET + elsewhere.time, 0n, true),
      () => view.setUint32(ELSEWHERE_OFFSET + elsewhere.stack, stackId, true),
      () => view.setUint32(ELSEWHERE_OFFSET + elsewhere.threadId, threadId, true),
      () => view.setUint16(ELSEWHERE_OFFSET + elsewhere.call, rowNumber(call), true),
      () => view.setBigUint64(ELSEWHERE_OFFSET + elsewhere.time, time, true),
    ];
  };

  it('is no mixture of two', () => {
    const calls: LedgerCall[] = [];
    view.setUint32(header.callsElsewhere, 1, true);
    view.setBigUint64(ELSEWHERE_OFFSET + elsewhere.key, (48n << 32n) | VALUE | BigInt(OPENED_ELSEWHERE), true);
    const prepare = (): readonly Store[] => {
      for (const store of note(1)) store();
      return Array.from({ length: 10 }, (_, index) => note(index + 2)).flat();
    };
    forEachPace(prepare, (ledger) => {
      const [first] = ledger.callsElsewhere();
      if (first !== undefined) calls.push(first.call);
    });
    expect(calls.filter((call) => !isDeepStrictEqual(call, opening(call.stackId - 10_000)))).toEqual([]);
    expect(new Set(calls.map(({ stackId }) => stackId)).size).toBeGreaterThan(1);
  });
});
