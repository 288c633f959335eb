import { beforeEach, describe, expect, test } from 'vitest';

import { recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import { emitClaimRuntimeObject } from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import { header, RECENT_OPEN_COUNT, slot, STATE_QUARANTINED, VICTIM } from '../../../../src/agent/ledger/layout.ts';
import {
  DESCRIPTOR_KEY,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
} from '../../../../src/agent/ledger/runtime-object.ts';
import {
  misuse,
  MISUSE_CLOSE,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SIZE_BYTES,
  MISUSE_USE,
  MISUSE_VALUE_COUNT,
} from '../../../../src/agent/ledger/misuse.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { emitMisuseRoutines } from './misuse-routines.ts';
import { placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 1024;
const VALUE = 0x1a4n;
const STATUS_INVALID_HANDLE = 0xc000_0008;
const PROBE_COUNT = 64;
/** The highest bits of a key are its position. */
const POSITION_SHIFT = 64n - BigInt(Math.log2(MISUSE_COUNT));
const rowNumber = (name: string) => recordedCalls.findIndex((row) => row.name === name) + 1;

/** A refused call; each test changes what it is about. */
const refused = {
  value: VALUE,
  row: rowNumber('NtSetEvent'),
  kind: MISUSE_USE,
  stack: 60,
  status: STATUS_INVALID_HANDLE,
};
type Refused = typeof refused;

/** The slot of a value when a call is refused. */
const life = { generation: 4n, isOpen: false, openedStack: 2, closedStack: 50 };
type Life = typeof life;

describe.each([
  ['without a quarantine', 0],
  ['with a quarantine', 64],
])('countMisuse %s', (_variant, quarantineCount) => {
  const routines = placeRoutines({
    slotCount: SLOT_COUNT,
    quarantineCount,
    realNtdll: ['NtAllocateVirtualMemory'],
    emit(asm, { environment }) {
      emitMisuseRoutines(asm, environment);
      emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);
      const { countMisuse, internMisuse, claimRuntimeObject } = environment;
      return { countMisuse, internMisuse, claimRuntimeObject };
    },
  });
  const { memory, layout } = routines;
  let ledger: Ledger;
  beforeEach(() => {
    ledger = routines.reset();
    setLife(VALUE);
  });

  const toRegisters = ({ value, row, kind, stack, status }: Refused) => ({
    rcx: value,
    rdx: BigInt(row | (kind << 16)),
    r8: BigInt(stack),
    r9: BigInt(status),
  });
  /** Counts a misuse, and returns how often it had been counted before. */
  const count = (changes: Partial<Refused> = {}) =>
    Number(routines.call('countMisuse', toRegisters({ ...refused, ...changes })).rax);
  function setLife(value: bigint, changes: Partial<Life> = {}, offset = routines.slotOffset(value)) {
    const { generation, isOpen, openedStack, closedStack } = { ...life, ...changes };
    memory.setBigUint64(offset + slot.state, (generation << 1n) | (isOpen ? 1n : 0n), true);
    memory.setUint32(offset + slot.openedStack, openedStack, true);
    memory.setUint32(offset + slot.openedGeneration, Number(BigInt.asUintN(32, generation)), true);
    memory.setUint32(offset + slot.closedStack, closedStack, true);
    memory.setUint32(offset + slot.closedGeneration, Number(BigInt.asUintN(32, generation)), true);
    memory.setUint16(offset + slot.objectType, typeIndex('Event'), true);
  }
  const misuses = () => [...ledger.misuses()];
  const recordOffsets = () =>
    Array.from({ length: MISUSE_COUNT }, (_, index) => layout.misusesOffset + index * MISUSE_SIZE_BYTES).filter(
      (offset) => memory.getBigUint64(offset + misuse.key, true) !== 0n,
    );

  test('records the refused call, and the life that its value had', () => {
    const { rax, threadId } = routines.call('countMisuse', toRegisters(refused));
    expect(rax).toBe(0n);
    expect(misuses()).toEqual([
      {
        kind: 'use',
        status: STATUS_INVALID_HANDLE,
        count: 1,
        values: [VALUE],
        offending: { call: 'NtSetEvent', threadId, time: expect.any(BigInt), stackId: 60 },
        worksOn: ['Event'],
        life: expect.objectContaining({ isOpen: false, generation: 4n, objectType: 'Event' }),
      },
    ]);
    expect(misuses()[0]?.life).toMatchObject({ opened: { stackId: 2 }, closed: { stackId: 50 } });
    const time = (BigInt(Date.now()) + 11_644_473_600_000n) * 10_000n;
    expect(time - misuses()[0]!.offending.time).toBeLessThan(10n ** 8n);
  });

  test('writes row, kind, stack and status at their full width', () => {
    count({ row: 0xffff, kind: 0xffff, stack: 0xffff_ffff, status: 0xffff_ffff });
    const [offset = 0] = recordOffsets();
    expect(memory.getUint16(offset + misuse.offendingCall, true)).toBe(0xffff);
    expect(memory.getUint16(offset + misuse.kind, true)).toBe(0xffff);
    expect(memory.getUint32(offset + misuse.offendingStack, true)).toBe(0xffff_ffff);
    expect(memory.getUint32(offset + misuse.status, true)).toBe(0xffff_ffff);
    expect(memory.getUint32(offset + misuse.valueCount, true)).toBe(1);
  });

  test('counts the same misuse again, and does not change its record', () => {
    count();
    const [first] = misuses();
    expect(count()).toBe(1);
    expect(count()).toBe(2);
    expect(misuses()).toEqual([{ ...first, count: 3 }]);
  });

  test('counts the records, so that a reader of the ledger need not look for any where there are none', () => {
    expect(memory.getUint32(header.misuseRecords, true)).toBe(0);
    count();
    count();
    expect(memory.getUint32(header.misuseRecords, true)).toBe(1);
    count({ stack: refused.stack + 1 });
    expect(memory.getUint32(header.misuseRecords, true)).toBe(2);
    expect(recordOffsets()).toHaveLength(2);
  });

  test.each<[what: string, one: Partial<Life>, other: Partial<Life>]>([
    ['generation', { generation: 4n }, { generation: 9n }],
    ['earlier close, when it is open', { isOpen: true, closedStack: 50 }, { isOpen: true, closedStack: 51 }],
  ])('takes misuses of two values for the same when they differ in the %s', (_what, one, other) => {
    setLife(VALUE, one);
    setLife(VALUE + 4n, other);
    expect([count(), count({ value: VALUE + 4n })]).toEqual([0, 1]);
    expect(misuses().map((each) => [each.count, each.values])).toEqual([[2, [VALUE, VALUE + 4n]]]);
  });

  test.each<[what: string, call: Partial<Refused>, life: Partial<Life>]>([
    ['call', { row: rowNumber('NtResetEvent') }, {}],
    ['kind', { kind: MISUSE_CLOSE }, {}],
    ['status', { status: 0xc000_0024 }, {}],
    ['stack of the call', { stack: 61 }, {}],
    ['stack of the opening', {}, { openedStack: 3 }],
    ['stack of the close', {}, { closedStack: 51 }],
    ['state, open or closed', {}, { isOpen: true, closedStack: 0 }],
  ])('keeps misuses apart that differ in the %s', (_what, call, changes) => {
    setLife(VALUE + 4n, changes);
    expect([count(), count({ ...call, value: VALUE + 4n })]).toEqual([0, 0]);
    expect(misuses().map((each) => each.count)).toEqual([1, 1]);
  });

  test('keeps NULL, pseudo handles and other values that were never open apart', () => {
    const values = [0n, -1n, 0x10_0000n];
    expect(values.map((value) => count({ value }))).toEqual([0, 0, 0]);
    expect(count({ value: -2n }), 'two pseudo handles').toBe(1);
    expect(new Set(misuses().flatMap((each) => each.values))).toEqual(new Set([...values, -2n]));
    expect(misuses().every((each) => each.life.generation === 0n && !each.life.isOpen)).toBe(true);
  });

  test('keeps the first values, and counts the others', () => {
    const values = Array.from({ length: MISUSE_VALUE_COUNT + 1 }, (_, index) => VALUE + BigInt(index * 4));
    for (const value of values) {
      setLife(value);
      count({ value });
    }
    expect(misuses().map((each) => [each.count, each.values])).toEqual([
      [values.length, values.slice(0, MISUSE_VALUE_COUNT)],
    ]);
    const [offset = 0] = recordOffsets();
    expect(memory.getUint32(offset + misuse.valueCount, true)).toBe(values.length);
    expect(memory.getBigUint64(offset + misuse.values + MISUSE_VALUE_COUNT * 8, true), 'what lies behind').toBe(0n);
  });

  describe('in a table that is full', () => {
    const fill = () => {
      for (let index = 0; index < MISUSE_COUNT; index++)
        memory.setBigUint64(layout.misusesOffset + index * MISUSE_SIZE_BYTES + misuse.key, 2n, true);
    };

    test.each([
      ['a refused call', MISUSE_USE, 'droppedMisuses'],
      ['a refused close', MISUSE_CLOSE, 'droppedMisuses'],
      ['an inherited handle', MISUSE_INHERITED, 'inheritedCut'],
    ] as const)('counts %s as dropped, and says that it is not new', (_what, kind, counter) => {
      fill();
      expect(count({ kind })).toBe(1);
      const counters = { droppedMisuses: 0, inheritedCut: 0, [counter]: 1 };
      for (const [name, value] of Object.entries(counters)) expect(ledger.counter(name as 'inheritedCut')).toBe(value);
      expect(misuses()).toEqual([]);
    });

    test('still counts a misuse that it has', () => {
      count();
      const [offset = 0] = recordOffsets();
      const key = memory.getBigUint64(offset + misuse.key, true);
      fill();
      memory.setBigUint64(offset + misuse.key, key, true);
      expect(count()).toBe(1);
      expect(ledger.counter('droppedMisuses')).toBe(0);
    });

    test.each([
      [PROBE_COUNT - 1, 0],
      [PROBE_COUNT, 1],
    ])('looks behind %i others: %i is dropped', (others, dropped) => {
      count();
      const first = (recordOffsets()[0]! - layout.misusesOffset) / MISUSE_SIZE_BYTES;
      ledger = routines.reset();
      setLife(VALUE);
      for (let index = 0; index < others; index++) {
        const position = (first + index) % MISUSE_COUNT;
        memory.setBigUint64(layout.misusesOffset + position * MISUSE_SIZE_BYTES + misuse.key, 2n, true);
      }
      expect(count()).toBe(dropped);
      expect(ledger.counter('droppedMisuses')).toBe(dropped);
      expect(misuses()).toHaveLength(1 - dropped);
    });
  });

  describe('knows runtime objects', () => {
    const FILE_ADDRESS = 0x7654_3210n;
    const claim = (key: bigint) =>
      Number(routines.call('claimRuntimeObject', { rcx: key }).r10 - routines.ledgerAddress);

    test('that stand for the handle', () => {
      const offset = claim(DESCRIPTOR_KEY | 3n);
      const index = (offset - layout.runtimeObjectsOffset) / RUNTIME_OBJECT_SIZE_BYTES;
      memory.setUint32(routines.slotOffset(VALUE) + slot.runtimeObject, index + 1, true);
      count();
      expect(misuses()[0]?.wrapper).toEqual({ type: 'Descriptor', value: 3n });
    });

    test.each([0, 0xffff_ffff])('and believes no index that lies outside of their table: %i', (index) => {
      memory.setUint32(routines.slotOffset(VALUE) + slot.runtimeObject, index, true);
      count();
      expect(misuses()[0]).not.toHaveProperty('wrapper');
    });

    test.each<[what: string, changes: Partial<Refused>, generation: bigint]>([
      ['given to CloseHandle', { value: FILE_ADDRESS, kind: MISUSE_CLOSE }, 4n],
      ['used as a handle', { value: FILE_ADDRESS, kind: MISUSE_USE }, 0n],
      ['whose address has bits beyond user space', { value: FILE_ADDRESS | (1n << 47n), kind: MISUSE_CLOSE }, 0n],
    ])('by their addresses: a FILE %s has the life of generation %s', (_what, changes, generation) => {
      for (const key of [FILE_ADDRESS, FILE_ADDRESS | (1n << 47n)]) setLife(0n, {}, claim(key));
      count({ ...changes });
      expect(misuses().map((each) => each.life.generation)).toEqual([generation]);
    });

    test('and does not take NULL for one', () => {
      setLife(0n, {}, layout.runtimeObjectsOffset + runtimeObject.life);
      count({ value: 0n, kind: MISUSE_CLOSE });
      expect(misuses()[0]?.life.generation).toBe(0n);
    });
  });

  test('internMisuse makes the record without counting it, and names its place', () => {
    const r10 = routines.ledgerAddress + BigInt(routines.slotOffset(VALUE));
    const { rax } = routines.call('internMisuse', { ...toRegisters(refused), r10 });
    expect(misuses()).toEqual([]);
    expect([rax - routines.ledgerAddress]).toEqual(recordOffsets().map(BigInt));
    expect(count()).toBe(0);
    expect(misuses().map((each) => each.count)).toEqual([1]);
  });

  test('two threads that are refused the same at once count every call', () => {
    const calls = Array.from({ length: 4000 }, () => toRegisters(refused));
    const list = { routine: 'countMisuse', calls } as const;
    const before = routines.callAtOnce(list, list).flatMap(({ after }) => after.map(({ rax }) => Number(rax)));
    expect(misuses().map((each) => [each.count, each.values])).toEqual([[2 * calls.length, [VALUE]]]);
    expect(new Set(before).size, 'each thread learns another number').toBe(2 * calls.length);
  });

  test('two threads that are refused the same things for the first time at once make one record of each', () => {
    const calls = Array.from({ length: 2000 }, (_, index) => toRegisters({ ...refused, stack: 100 + index }));
    const list = { routine: 'countMisuse', calls } as const;
    routines.callAtOnce(list, list);
    const counts = misuses().map((each) => each.count);
    expect(counts).toHaveLength(calls.length);
    expect(counts.every((each) => each === 2)).toBe(true);
  });

  /** The stacks of many refused calls, by the position in the table at which the search for room begins. */
  function stacksByPosition(count: number): ReadonlyMap<number, readonly number[]> {
    const byPosition = new Map<number, number[]>();
    for (let begin = 100; begin < 100 + count; begin += 1000) {
      ledger = routines.reset();
      setLife(VALUE);
      const calls = Array.from({ length: 1000 }, (_, index) => toRegisters({ ...refused, stack: begin + index }));
      routines.callAtOnce({ routine: 'countMisuse', calls });
      for (const offset of recordOffsets()) {
        const position = Number(memory.getBigUint64(offset + misuse.key, true) >> POSITION_SHIFT);
        const stack = memory.getUint32(offset + misuse.offendingStack, true);
        byPosition.set(position, [...(byPosition.get(position) ?? []), stack]);
      }
    }
    ledger = routines.reset();
    setLife(VALUE);
    return byPosition;
  }

  test('looks for room at the beginning of the table when its end is taken', () => {
    const [stack] = stacksByPosition(20_000).get(MISUSE_COUNT - 1) ?? [];
    const last = layout.misusesOffset + (MISUSE_COUNT - 1) * MISUSE_SIZE_BYTES;
    memory.setBigUint64(last + misuse.key, 2n, true);
    expect(count({ stack: stack! })).toBe(0);
    expect(recordOffsets()).toEqual([layout.misusesOffset, last]);
  });

  test('two threads that want the same place for different misuses at once get two', () => {
    const pairs = [...stacksByPosition(5000).values()].filter((stacks) => stacks.length > 1).slice(0, 640);
    const list = (thread: number) => ({
      routine: 'countMisuse' as const,
      calls: pairs.map((stacks) => toRegisters({ ...refused, stack: stacks[thread]! })),
    });
    routines.callAtOnce(list(0), list(1));
    const stacks = misuses().map(({ count: calls, offending }) => `${calls} of ${offending.stackId}`);
    expect(stacks.toSorted()).toEqual(pairs.flatMap(([one, other]) => [`1 of ${one}`, `1 of ${other}`]).toSorted());
  });

  if (quarantineCount === 0) return;

  describe('names the handle that would have a quarantined value now', () => {
    const ring = (index: number, stack: number) => {
      memory.setUint32(layout.recentOpensOffset + index * 8, stack, true);
      memory.setUint32(layout.recentOpensOffset + index * 8 + 4, (VICTIM | typeIndex('File')) >>> 0, true);
    };

    test.each<[what: string, opensBefore: number, opens: bigint, victim: object | undefined]>([
      ['nothing was opened since', 5, 5n, undefined],
      ['nothing was opened since, and the count has outgrown 32 bits', 5, 0x1_0000_0005n, undefined],
      ['one was opened since', 5, 6n, { objectType: 'File', stackId: 105 }],
      [
        'as many were opened since as the ring has',
        5,
        5n + BigInt(RECENT_OPEN_COUNT),
        { objectType: 'File', stackId: 105 },
      ],
      ['one more was opened since', 5, 6n + BigInt(RECENT_OPEN_COUNT), { objectType: 'Unknown', stackId: 0 }],
      ['the count has outgrown 32 bits', 0xffff_fffe, 0x1_0000_0001n, { objectType: 'File', stackId: 4194 }],
    ])('%s', (_what, opensBefore, opens, victim) => {
      for (let index = 0; index < RECENT_OPEN_COUNT; index++) ring(index, 100 + index);
      memory.setBigUint64(header.opens, opens, true);
      const offset = routines.slotOffset(VALUE);
      memory.setBigUint64(offset + slot.state, STATE_QUARANTINED | (4n << 1n), true);
      memory.setUint32(offset + slot.opensBefore, opensBefore, true);
      count();
      expect(misuses()[0]?.victim).toEqual(victim);
    });

    test('but not for a value that is not quarantined', () => {
      ring(5, 105);
      memory.setBigUint64(header.opens, 6n, true);
      memory.setUint32(routines.slotOffset(VALUE) + slot.opensBefore, 5, true);
      count();
      expect(misuses()[0]).not.toHaveProperty('victim');
    });
  });
});
