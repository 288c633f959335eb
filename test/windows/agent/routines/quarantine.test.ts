import { beforeEach, describe, expect, test } from 'vitest';

import { emitQuarantine } from '../../../../src/agent/emit/recorder/quarantine.ts';
import { header, slot, STATE_CLOSING, STATE_OCCUPIED, STATE_QUARANTINED } from '../../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { type FakedCall, placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 1024;
const RING_COUNT = 4;
const VALUE = 0x1a4n;
const SENTINEL = 0x10n;
const BEYOND = BigInt(SLOT_COUNT * 4);
const OPEN = 9n;
const CLOSED = 8n;
const QUARANTINED = STATE_QUARANTINED | CLOSED;
const OCCUPIED = STATE_QUARANTINED | STATE_OCCUPIED | CLOSED;
const STATUS_INVALID_HANDLE = 0xc000_0008;
const STATUS_ACCESS_DENIED = 0xc000_0022;
const DUPLICATE_SAME_ACCESS = 2n;
const OBJ_INHERIT = 2n;

/** The flags of a handle, as NtQueryObject stores them. A fake stores no 0, so the bytes behind them are not 0. */
const flags = (inherit: bigint, protectFromClose = 0n) => inherit | (protectFromClose << 8n) | 0xff_0000n;
const PLAIN = { status: 0, stores: flags(0n) };

const place = (quarantineCount: number) =>
  placeRoutines({
    slotCount: SLOT_COUNT,
    quarantineCount,
    ntdll: ['NtClose', 'NtDuplicateObject', 'NtQueryObject', 'NtDelayExecution'],
    emit(asm, { environment }) {
      const { quarantine } = environment;
      if (quarantine === undefined) throw new Error('this variant has a quarantine');
      emitQuarantine(asm, quarantine, environment);
      return { ...quarantine };
    },
  });
const routines = place(RING_COUNT);
const { memory, layout } = routines;
let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
  ledger.setSentinel(SENTINEL);
});

const setState = (value: bigint, state: bigint) =>
  memory.setBigUint64(routines.slotOffset(value) + slot.state, state, true);
const state = (value: bigint) => memory.getBigUint64(routines.slotOffset(value) + slot.state, true);
const ring = () =>
  Array.from({ length: RING_COUNT }, (_, at) => memory.getUint32(layout.quarantineOffset + at * 4, true));
const lost = () => ledger.counter('quarantineLost');
/** The calls that reached the kernel, each with the handle that it is about. */
const kernelCalls = () =>
  routines.faked().map(({ name, args, sixth, seventh }: FakedCall) => {
    if (name !== 'NtDuplicateObject') return [name, args[0]];
    expect([args[0], args[2]], 'from this process to this process').toEqual([-1n, -1n]);
    return [name, args[1], sixth, seventh];
  });
const occupies = ['NtDuplicateObject', SENTINEL, 0n, 0n];

describe('isQuarantined', () => {
  const isQuarantined = (value: bigint) => {
    const before = { rax: value, rcx: 1n, rdx: 2n, r8: 3n, r9: 4n };
    const { rax, rcx, rdx, r8, r9 } = routines.call('isQuarantined', before);
    expect([rcx, rdx, r8, r9], 'the arguments of the call').toEqual([1n, 2n, 3n, 4n]);
    return rax;
  };

  test.each<[what: string, value: bigint, state: bigint, refused: bigint]>([
    ['was never seen', VALUE, 0n, 0n],
    ['is open', VALUE, OPEN, 0n],
    ['is closed and free', VALUE, CLOSED, 0n],
    ['is being closed', VALUE, STATE_QUARANTINED | STATE_CLOSING | OPEN, 0n],
    ['the sentinel occupies', VALUE, OCCUPIED, 1n],
    ['the sentinel occupies, with tag bits', VALUE | 3n, OCCUPIED, 1n],
    ['is the sentinel itself', SENTINEL, STATE_QUARANTINED | STATE_OCCUPIED, 1n],
    ['has no slot', BEYOND, 0n, 0n],
    ['is a pseudo handle', -1n, 0n, 0n],
  ])('knows without asking the kernel about a value that %s', (_what, value, before, refused) => {
    if (value >= 0n && value < BEYOND) setState(value, before);
    expect(isQuarantined(value)).toBe(refused);
    expect(kernelCalls()).toEqual([]);
    if (value >= 0n && value < BEYOND) expect(state(value)).toBe(before);
  });

  test('refuses a value that the kernel has not given out again', () => {
    setState(VALUE, QUARANTINED);
    routines.script({ status: STATUS_INVALID_HANDLE });
    expect(isQuarantined(VALUE)).toBe(1n);
    expect(kernelCalls()).toEqual([['NtQueryObject', VALUE]]);
  });

  test('waits while the kernel has given the value to a hook that moves it away', () => {
    setState(VALUE, QUARANTINED);
    routines.script({ status: 0 }, { status: 0 }, { status: STATUS_INVALID_HANDLE });
    expect(isQuarantined(VALUE)).toBe(1n);
    expect(kernelCalls().map(([name]) => name)).toEqual(['NtQueryObject', 'NtDelayExecution', 'NtQueryObject']);
    expect([state(VALUE), lost()]).toEqual([QUARANTINED, 0]);
  });

  test('lets a value go that stays the kernel’s, and counts it', () => {
    setState(VALUE, QUARANTINED);
    routines.script({ status: 0 });
    expect(isQuarantined(VALUE)).toBe(0n);
    expect(kernelCalls().filter(([name]) => name === 'NtDelayExecution')).toHaveLength(49); // milliseconds
    expect([state(VALUE), lost()]).toEqual([CLOSED, 1]);
  });
});

describe('awaitClose', () => {
  const awaitClose = (value: bigint) => {
    const { rcx, rdx, r8, r9 } = routines.call('awaitClose', { rax: value, rcx: 1n, rdx: 2n, r8: 3n, r9: 4n });
    expect([rcx, rdx, r8, r9], 'the arguments of the call').toEqual([1n, 2n, 3n, 4n]);
  };

  test.each([
    ['open', VALUE, OPEN],
    ['quarantined', VALUE, OCCUPIED],
    ['without a slot', BEYOND, 0n],
  ])('returns at once for a value that is %s', (_what, value, before) => {
    if (value < BEYOND) setState(value, before);
    awaitClose(value);
    expect(kernelCalls()).toEqual([]);
    if (value < BEYOND) expect(state(value)).toBe(before);
  });

  test('gives up a close that takes a second, and clears its claim only', () => {
    setState(VALUE, STATE_CLOSING | QUARANTINED);
    awaitClose(VALUE);
    expect(kernelCalls().every(([name]) => name === 'NtDelayExecution')).toBe(true);
    expect(kernelCalls()).toHaveLength(999); // milliseconds
    expect(state(VALUE)).toBe(QUARANTINED);
  });
});

describe('enterQuarantine', () => {
  const enter = (value: bigint) => routines.call('enterQuarantine', { rcx: value });
  const refuseToOccupy = () => routines.script({ status: STATUS_ACCESS_DENIED });

  test.each([
    ['a value of which the recorder did not see the opening', CLOSED],
    ['a value that its closer has claimed', STATE_CLOSING | QUARANTINED],
  ])('quarantines %s, and occupies it', (_what, before) => {
    setState(VALUE, before);
    memory.setBigUint64(header.opens, 0x1_0000_0007n, true);
    routines.script({ status: 0, stores: VALUE });
    enter(VALUE | 3n);
    expect(state(VALUE)).toBe(OCCUPIED);
    expect(kernelCalls()).toEqual([occupies]);
    expect(ring()).toEqual([Number(VALUE), 0, 0, 0]);
    expect(memory.getUint32(header.quarantineNext, true)).toBe(1);
    expect(lost()).toBe(0);
    // A closer notes the number when it claims the value.
    expect(memory.getUint32(routines.slotOffset(VALUE) + slot.opensBefore, true)).toBe(before === CLOSED ? 7 : 0);
  });

  test.each<[what: string, value: bigint, before: bigint]>([
    ['was opened again already', VALUE, OPEN],
    ['has no slot', BEYOND, 0n],
    ['is a pseudo handle', -1n, 0n],
  ])('leaves a value alone that %s', (_what, value, before) => {
    if (value === VALUE) setState(value, before);
    enter(value);
    if (value === VALUE) expect(state(value)).toBe(before);
    expect(kernelCalls()).toEqual([]);
    expect(ring()).toEqual([0, 0, 0, 0]);
  });

  test.each<[what: string, got: bigint, before: bigint]>([
    ['a value that is free', 0x200n, CLOSED],
    ['a value without a slot', BEYOND, 0n],
  ])('gives the sentinel’s handle back when the kernel gave it %s', (_what, got, before) => {
    setState(VALUE, CLOSED);
    if (got < BEYOND) setState(got, before);
    routines.script({ status: 0, stores: got });
    enter(VALUE);
    expect(kernelCalls()).toEqual([occupies, ['NtClose', got]]);
    expect(state(VALUE)).toBe(QUARANTINED);
    if (got < BEYOND) expect(state(got)).toBe(before);
  });

  test('goes on without the sentinel’s handle when the kernel refuses it', () => {
    setState(VALUE, STATE_CLOSING | QUARANTINED);
    refuseToOccupy();
    enter(VALUE);
    expect(kernelCalls()).toEqual([occupies]);
    expect(state(VALUE)).toBe(QUARANTINED);
  });

  test.each([
    ['free', QUARANTINED, []],
    ['occupied', OCCUPIED, [['NtClose', VALUE]]],
  ])('frees the value that leaves the ring, without counting it as lost: %s', (_what, before, calls) => {
    refuseToOccupy();
    const later = [0x200n, 0x204n, 0x208n, 0x20cn];
    for (const value of [VALUE, ...later]) setState(value, CLOSED);
    for (const value of [VALUE, ...later.slice(0, 3)]) enter(value);
    expect(ring()).toEqual([VALUE, ...later.slice(0, 3)].map(Number));
    setState(VALUE, before);
    const noted = kernelCalls().length;
    enter(later[3]!);
    expect(state(VALUE)).toBe(CLOSED);
    expect(kernelCalls().slice(noted)).toEqual([...calls, occupies]);
    expect(ring()).toEqual([later[3]!, ...later.slice(0, 3)].map(Number));
    expect(later.map(state)).toEqual(later.map(() => QUARANTINED));
    expect(lost()).toBe(0);
  });

  test('leaves a value alone that leaves the ring when its quarantine has ended before', () => {
    refuseToOccupy();
    memory.setUint32(layout.quarantineOffset, 0x200, true);
    setState(0x200n, OPEN);
    setState(VALUE, CLOSED);
    enter(VALUE);
    expect(state(0x200n)).toBe(OPEN);
    expect(kernelCalls()).toEqual([occupies]);
  });

  test('two threads that close at once lose no value of a ring, even of one', () => {
    const single = place(1);
    const reader = single.reset();
    const values = Array.from({ length: 1000 }, (_, index) => BigInt(0x14 + index * 4));
    for (const value of values) single.memory.setBigUint64(single.slotOffset(value) + slot.state, CLOSED, true);
    single.script({ status: STATUS_ACCESS_DENIED });
    const list = (parity: number) => ({
      routine: 'enterQuarantine' as const,
      calls: values.filter((_, index) => index % 2 === parity).map((rcx) => ({ rcx })),
    });
    single.callAtOnce(list(0), list(1));
    const inRing = BigInt(single.memory.getUint32(single.layout.quarantineOffset, true));
    expect(values.filter((value) => reader.isQuarantined(value))).toEqual([inRing]);
    expect(single.memory.getUint32(header.quarantineNext, true)).toBe(values.length);
  });
});

describe('moveOutOfQuarantine', () => {
  const move = (value: bigint) => routines.call('moveOutOfQuarantine', { rcx: value }).rax;
  const asksAbout = (value: bigint) => ['NtQueryObject', value];
  const movesFrom = (value: bigint, attributes = 0n) => [
    asksAbout(value),
    ['NtDuplicateObject', value, attributes, DUPLICATE_SAME_ACCESS],
    ['NtClose', value],
  ];

  test.each([
    ['free', VALUE],
    ['without a slot', BEYOND],
  ])('leaves an object where it is when the value is %s', (_what, value) => {
    expect(move(value)).toBe(value);
    expect(kernelCalls()).toEqual([]);
  });

  test.each([
    ['not inheritable', 0n, 0n],
    ['inheritable', 1n, OBJ_INHERIT],
  ])(
    'moves an object whose handle is %s to another value, and occupies the one that it had',
    (_what, inherit, asked) => {
      setState(VALUE, QUARANTINED);
      routines.script(
        { status: 0, stores: flags(inherit) },
        { status: 0, stores: 0x200n },
        { status: 0 },
        { status: 0, stores: VALUE },
      );
      expect(move(VALUE)).toBe(0x200n);
      expect(kernelCalls()).toEqual([...movesFrom(VALUE, asked), occupies]);
      expect(routines.faked()[0]!.args[1], 'asks for the flags of the handle').toBe(4n);
      expect([state(VALUE), lost()]).toEqual([OCCUPIED, 0]);
    },
  );

  test('moves on when the other value is quarantined, too', () => {
    setState(VALUE, QUARANTINED);
    setState(0x200n, QUARANTINED);
    routines.script(
      PLAIN,
      { status: 0, stores: 0x200n },
      { status: 0 },
      { status: 0, stores: VALUE },
      PLAIN,
      { status: 0, stores: 0x204n },
      { status: 0 },
      { status: 0, stores: 0x200n },
    );
    expect(move(VALUE)).toBe(0x204n);
    expect(kernelCalls()).toEqual([...movesFrom(VALUE), occupies, ...movesFrom(0x200n), occupies]);
    expect([state(VALUE), state(0x200n)]).toEqual([OCCUPIED, OCCUPIED]);
  });

  const refused = { status: STATUS_ACCESS_DENIED };
  test.each([
    ['is protected from close', [{ status: 0, stores: flags(1n, 1n) }], ['NtQueryObject']],
    ['tells no flags', [refused], ['NtQueryObject']],
    ['cannot be duplicated', [PLAIN, refused], ['NtQueryObject', 'NtDuplicateObject']],
  ])('lets the program have the value of a handle that %s, and counts it', (_what, results, calls) => {
    setState(VALUE, QUARANTINED);
    routines.script(...results);
    expect(move(VALUE)).toBe(VALUE);
    expect(kernelCalls().map(([name]) => name)).toEqual(calls);
    expect([state(VALUE), lost()]).toEqual([CLOSED, 1]);
  });
});
