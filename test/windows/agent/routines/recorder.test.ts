import { beforeEach, describe, expect, test } from 'vitest';

import { recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import { at } from '../../../../src/agent/asm/operands.ts';
import { rax } from '../../../../src/agent/asm/registers.ts';
import { framedFunction } from '../../../../src/agent/emit/abi/framed-function.ts';
import { emitGrowSlots } from '../../../../src/agent/emit/recorder/grow-ledger.ts';
import { emitRecordClose, emitRecordOpen } from '../../../../src/agent/emit/recorder/recorder.ts';
import {
  header,
  RECENT_OPEN_COUNT,
  slot,
  stackNode,
  STATE_CLOSING,
  STATE_OCCUPIED,
  STATE_QUARANTINED,
  VICTIM,
} from '../../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 4096;
const VALUE = 0x1a4n;
/** Stacks whose nodes lie apart in the pool. */
const [OPENING, CLOSING] = [2n, 50n];
const rowNumber = (name: string) => recordedCalls.findIndex((row) => row.name === name) + 1;
const CREATE_EVENT = BigInt(rowNumber('NtCreateEvent') | (typeIndex('Event') << 16));
const CLOSE = BigInt(rowNumber('NtClose'));

const open = (generation: bigint) => (generation << 1n) | 1n;
const closed = (generation: bigint) => generation << 1n;

/** FILETIME of now. */
const now = () => (BigInt(Date.now()) + 11_644_473_600_000n) * 10_000n;
const isRecent = (time: bigint | undefined) =>
  time !== undefined && now() - time < 10n ** 8n && time <= now() + 10n ** 6n;

describe.each([
  ['without a quarantine', 0],
  ['with a quarantine', 64],
])('%s', (_variant, quarantineCount) => {
  const routines = placeRoutines({
    slotCount: SLOT_COUNT,
    quarantineCount,
    realNtdll: ['NtAllocateVirtualMemory'],
    emit(asm, { environment }) {
      emitGrowSlots(asm, environment.growSlots, environment);
      emitRecordOpen(asm, environment.recordOpen, environment);
      emitRecordClose(asm, environment.recordClose, environment);
      const openAndCount = asm.label('openAndCount');
      framedFunction(asm, openAndCount, { pushes: [], sizeBytes: 0x28 }, (epilogue) => {
        asm.call(environment.recordOpen);
        asm.mov(rax, environment.linkSlots.ledger);
        asm.mov(rax, at(rax, header.slotsUsed));
        epilogue();
      });
      return { recordOpen: environment.recordOpen, recordClose: environment.recordClose, openAndCount };
    },
  });
  const { memory } = routines;
  let ledger: Ledger;
  beforeEach(() => {
    ledger = routines.reset();
  });

  const recordOpen = (value: bigint, row = CREATE_EVENT, stack = OPENING) =>
    routines.call('recordOpen', { rcx: value, rdx: row, r8: stack });
  const recordClose = (value: bigint, before: bigint, stack = CLOSING, row = CLOSE) =>
    routines.call('recordClose', { rcx: value, rdx: before, r8: stack, r9: row });
  const setState = (value: bigint, state: bigint) =>
    memory.setBigUint64(routines.slotOffset(value) + slot.state, state, true);
  const state = (value: bigint) => memory.getBigUint64(routines.slotOffset(value) + slot.state, true);
  const slotsUsed = () => memory.getBigUint64(header.slotsUsed, true);
  /** The close that the node of a stack has learnt. */
  const learnt = (stack: bigint) =>
    memory.getUint32(routines.layout.stackPoolOffset + Number(stack) * 8 + stackNode.closedBy, true);

  describe('recordOpen', () => {
    test.each<[what: string, before: bigint, generation: bigint]>([
      ['a new value its first generation', 0n, 1n],
      ['a value that was closed its next one', closed(4n), 5n],
      ['a value whose close was not seen its next one', open(4n), 5n],
      ['a value whose generation outgrows 32 bits its next one', closed(0xffff_ffffn), 0x1_0000_0000n],
      ['a value whose generation is as large as possible but one', closed((1n << 60n) - 2n), (1n << 60n) - 1n],
    ])('gives %s', (_what, before, generation) => {
      setState(VALUE, before);
      const { threadId } = recordOpen(VALUE);
      expect(state(VALUE)).toBe(open(generation));
      expect(ledger.life(VALUE)).toEqual({
        isOpen: true,
        generation,
        objectType: 'Event',
        opened: { call: 'NtCreateEvent', threadId, time: expect.any(BigInt), stackId: Number(OPENING) },
        closed: undefined,
      });
      expect(isRecent(ledger.life(VALUE)?.opened?.time)).toBe(true);
    });

    test('writes row, type and stack at their full width', () => {
      recordOpen(VALUE, 0xffff_ffffn, 0xffff_ffffn);
      const offset = routines.slotOffset(VALUE);
      expect(memory.getUint16(offset + slot.openedCall, true)).toBe(0xffff);
      expect(memory.getUint16(offset + slot.objectType, true)).toBe(0xffff);
      expect(memory.getUint32(offset + slot.openedStack, true)).toBe(0xffff_ffff);
      expect(memory.getUint32(offset + slot.openedGeneration, true)).toBe(1);
    });

    test('forgets the runtime object of an earlier handle, and keeps its close', () => {
      const offset = routines.slotOffset(VALUE);
      new Uint8Array(memory.buffer, offset + slot.closedStack, 32).fill(0x77);
      recordOpen(VALUE);
      expect(memory.getUint32(offset + slot.runtimeObject, true)).toBe(0);
      expect(routines.slotBytes(VALUE).slice(slot.closedStack, slot.runtimeObject)).toEqual(
        new Array(slot.runtimeObject - slot.closedStack).fill(0x77),
      );
    });

    test.each([0n, 1n, 2n, 3n])('takes the value for the same whatever its two low bits are: %s', (bits) => {
      recordOpen(VALUE | bits);
      expect([...ledger.openValues()]).toEqual([VALUE]);
    });

    test('leaves the slots beside its own alone', () => {
      const [before, after] = [routines.slotBytes(VALUE - 4n), routines.slotBytes(VALUE + 4n)];
      recordOpen(VALUE);
      expect([routines.slotBytes(VALUE - 4n), routines.slotBytes(VALUE + 4n)]).toEqual([before, after]);
    });

    test('counts slots up to the highest that was ever used', () => {
      recordOpen(0x40n);
      expect(slotsUsed()).toBe(17n);
      recordOpen(0x20n);
      expect(slotsUsed()).toBe(17n);
      recordOpen(BigInt(SLOT_COUNT * 4 - 4));
      expect(slotsUsed()).toBe(BigInt(SLOT_COUNT));
    });
  });

  test.each<[what: string, value: bigint, count: number]>([
    ['the first value that has no slot', BigInt(SLOT_COUNT * 4), 1],
    ['the largest value of a kernel handle', 0xffff_fffcn, 1],
    ['the current process', -1n, 0],
    ['the last pseudo handle', -6n, 0],
    ['the smallest negative value', -0x8000_0000_0000_0000n, 0],
  ])('an opening and a close of %s are recorded nowhere, and count %i as beyond capacity', (_what, value, count) => {
    recordOpen(value);
    expect(ledger.counter('beyondCapacity')).toBe(count);
    recordClose(value, open(1n));
    expect(ledger.counter('beyondCapacity')).toBe(2 * count);
    expect(slotsUsed()).toBe(0n);
    const slots = new Uint8Array(memory.buffer, routines.layout.slotsOffset);
    expect(slots.every((byte) => byte === 0)).toBe(true);
  });

  describe('recordClose', () => {
    test('closes the generation that was open before the call', () => {
      setState(VALUE, closed(3n));
      recordOpen(VALUE);
      const { threadId } = recordClose(VALUE, open(4n));
      expect(state(VALUE)).toBe(closed(4n));
      expect(ledger.life(VALUE)).toMatchObject({
        isOpen: false,
        generation: 4n,
        opened: { stackId: Number(OPENING) },
        closed: { call: 'NtClose', threadId, stackId: Number(CLOSING) },
      });
      expect(isRecent(ledger.life(VALUE)?.closed?.time)).toBe(true);
      expect(learnt(OPENING), 'the opening stack learns where such handles are closed').toBe(Number(CLOSING));
    });

    test.each<[what: string, before: bigint, meanwhile: bigint]>([
      ['was opened again', open(4n), open(5n)],
      ['was closed by another thread', open(4n), closed(4n)],
      ['was closed and its next handle, too', open(4n), closed(5n)],
      ['was opened, while the closer saw it closed', closed(4n), open(5n)],
      ['was opened for the first time', 0n, open(1n)],
    ])('changes nothing when the value %s meanwhile', (_what, before, meanwhile) => {
      recordOpen(VALUE);
      setState(VALUE, meanwhile);
      const bytes = routines.slotBytes(VALUE);
      recordClose(VALUE, before);
      expect(routines.slotBytes(VALUE)).toEqual(bytes);
      expect(learnt(OPENING)).toBe(0);
    });

    test.each<[what: string, before: bigint, generation: bigint]>([
      ['that was never seen', 0n, 1n],
      ['that was last seen closed', closed(4n), 5n],
      ['that was last seen closed at the end of 32 bits', closed(0xffff_ffffn), 0x1_0000_0000n],
    ])('gives a value %s a generation of its own, without an opening', (_what, before, generation) => {
      recordOpen(VALUE);
      setState(VALUE, before);
      memory.setUint32(routines.slotOffset(VALUE) + slot.openedGeneration, Number(before >> 1n), true);
      recordClose(VALUE, before);
      expect(ledger.life(VALUE)).toMatchObject({
        isOpen: false,
        generation,
        opened: undefined,
        closed: { call: 'NtClose' },
      });
      expect(learnt(OPENING), 'the opening was another handle’s').toBe(0);
    });

    test('tells a close while the process exits, which the opening stack does not learn', () => {
      recordOpen(VALUE);
      memory.setUint32(header.exiting, 1, true);
      recordClose(VALUE, open(1n));
      expect([...ledger.valuesClosedWhileExiting()]).toEqual([VALUE]);
      expect(ledger.life(VALUE)?.closed).toMatchObject({ call: 'NtClose', stackId: Number(CLOSING) });
      expect(learnt(OPENING)).toBe(0);
    });

    test('teaches no stack when the opening has none', () => {
      recordOpen(VALUE, CREATE_EVENT, 0n);
      recordClose(VALUE, open(1n));
      expect(state(VALUE)).toBe(closed(1n));
      expect(learnt(0n)).toBe(0);
    });

    test('teaches the last of two closes', () => {
      recordOpen(VALUE);
      recordClose(VALUE, open(1n), 60n);
      recordOpen(VALUE);
      recordClose(VALUE, open(2n), 70n);
      expect(learnt(OPENING)).toBe(70);
    });
  });

  test('two threads that open different values at once lose none, and always count the slots of both', () => {
    const values = Array.from({ length: SLOT_COUNT / 2 }, (_, index) => BigInt(index * 8));
    const list = (offset: bigint) => ({
      routine: 'openAndCount' as const,
      calls: values.map((value) => ({ rcx: value + offset, rdx: CREATE_EVENT, r8: OPENING })),
    });
    const results = routines.callAtOnce(list(0n), list(4n));
    expect([...ledger.openValues()]).toHaveLength(SLOT_COUNT);
    expect(ledger.totals()).toEqual({ opens: SLOT_COUNT, closes: 0 });
    const tooFew = results.flatMap(({ after }, thread) =>
      after.filter(({ rax: used }, index) => used < BigInt(index * 2 + thread + 1)),
    );
    expect(tooFew, 'slots that another thread made uncounted').toEqual([]);
  });

  test('of two threads that close the same values at once, one closes each, and the other leaves no trace', () => {
    const values = Array.from({ length: SLOT_COUNT }, (_, index) => BigInt(index * 4));
    for (const value of values) setState(value, open(1n));
    const list = (stack: bigint) => ({
      routine: 'recordClose' as const,
      calls: values.map((value) => ({ rcx: value, rdx: open(1n), r8: stack, r9: stack })),
    });
    const threads = routines.callAtOnce(list(60n), list(70n)).map(({ threadId }) => threadId);
    const traces = values.map((value) => {
      const offset = routines.slotOffset(value);
      return [
        state(value),
        memory.getUint32(offset + slot.closedStack, true),
        memory.getUint16(offset + slot.closedCall, true),
        memory.getUint32(offset + slot.closedThread, true),
      ];
    });
    const [first, second] = [
      [closed(1n), 60, 60, threads[0]],
      [closed(1n), 70, 70, threads[1]],
    ];
    expect(traces.filter((trace) => `${trace}` !== `${first}` && `${trace}` !== `${second}`)).toEqual([]);
  });

  if (quarantineCount === 0) return;

  describe('of values that are quarantined', () => {
    const recentOpen = (index: number) => {
      const offset = routines.layout.recentOpensOffset + index * 8;
      return [memory.getUint32(offset, true), memory.getUint32(offset + 4, true)];
    };

    test('an opening ends the quarantine early, and counts that', () => {
      setState(VALUE, STATE_QUARANTINED | STATE_OCCUPIED | closed(4n));
      recordOpen(VALUE);
      expect(state(VALUE)).toBe(open(5n));
      expect(ledger.counter('quarantineLost')).toBe(1);
    });

    test('an opening of a free value counts no such thing', () => {
      setState(VALUE, closed(4n));
      recordOpen(VALUE);
      expect(ledger.counter('quarantineLost')).toBe(0);
    });

    test.each([
      [0n, 0],
      [5n, 5],
      [BigInt(RECENT_OPEN_COUNT), 0],
      [0xffff_ffffn, RECENT_OPEN_COUNT - 1],
    ])('an opening after %s others is noted in the ring at %i', (opens, index) => {
      memory.setBigUint64(header.opens, opens, true);
      recordOpen(VALUE);
      expect(recentOpen(index)).toEqual([Number(OPENING), (VICTIM | typeIndex('Event')) >>> 0]);
      expect(memory.getBigUint64(header.opens, true)).toBe(opens + 1n);
    });

    test('a close of a value that its closer has claimed keeps the flags', () => {
      recordOpen(VALUE);
      const claimed = STATE_QUARANTINED | STATE_CLOSING | open(1n);
      setState(VALUE, claimed | STATE_OCCUPIED); // another thread has just occupied it
      recordClose(VALUE, claimed);
      expect(state(VALUE)).toBe(STATE_QUARANTINED | STATE_CLOSING | STATE_OCCUPIED | closed(1n));
      expect(ledger.life(VALUE)).toMatchObject({ isOpen: false, closed: { stackId: Number(CLOSING) } });
      expect(learnt(OPENING)).toBe(Number(CLOSING));
    });
  });
});
