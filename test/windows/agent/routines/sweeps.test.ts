import { beforeEach, describe, expect, test } from 'vitest';

import { at, teb } from '../../../../src/agent/asm/operands.ts';
import { edx, r8, rax, rcx, rsp } from '../../../../src/agent/asm/registers.ts';
import { tebField } from '../../../../src/agent/emit/abi/teb.ts';
import { emitThunk } from '../../../../src/agent/emit/hooks/hook-frame.ts';
import { emitFindSweep, emitSweepHook } from '../../../../src/agent/emit/hooks/sweeps.ts';
import { header, sweep, SWEEP_COUNT, SWEEP_SIZE_BYTES } from '../../../../src/agent/ledger/layout.ts';
import { placeRoutines } from './placed-routines.ts';

const ROW = 0x1_0123;

/**
 * `sweep` is the hook of a function that looks for its thread's entry and returns it; `nested` that of one that calls
 * `sweep`. `strand` writes an entry of its thread, with the return address's address in rcx and the return address in
 * r8, and looks for it.
 */
const routines = placeRoutines({
  emit(asm, { environment }) {
    const [hook, begin, look, nested, call, strand] = asm.labels('hook', 'sweep', 'look', 'nested', 'call', 'strand');
    emitFindSweep(asm, environment.findSweep, environment);
    emitSweepHook(asm, hook, environment);
    emitThunk(asm, begin, ROW, look, hook);
    asm.bind(look);
    asm.jmp(environment.findSweep);
    emitThunk(asm, nested, ROW + 1, call, hook);
    asm.bind(call);
    asm.sub(rsp, 0x28);
    asm.call(begin);
    asm.add(rsp, 0x28);
    asm.ret();
    asm.bind(strand);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.mov(edx, teb(tebField.threadId));
    asm.mov(at(rax, header.sweepTable + sweep.threadId), edx);
    asm.mov(at(rax, header.sweepTable + sweep.returnAddress), rcx);
    asm.mov(at(rax, header.sweepTable + sweep.caller), r8);
    asm.jmp(environment.findSweep);
    return { sweep: begin, nested, strand, findSweep: environment.findSweep };
  },
});
const { memory, ledgerAddress } = routines;
beforeEach(() => {
  routines.reset();
});

const entryAt = (index: number) => header.sweepTable + index * SWEEP_SIZE_BYTES;
const sweeping = () => memory.getUint32(header.sweeping, true);
const threadIds = () =>
  Array.from({ length: SWEEP_COUNT }, (_, index) => memory.getUint32(entryAt(index) + sweep.threadId, true));

describe('a sweep', () => {
  test('is found by its own thread while it lasts, and leaves nothing behind', () => {
    const { rax: entry } = routines.call('sweep', {});
    expect(entry).toBe(ledgerAddress + BigInt(entryAt(0)));
    expect(memory.getUint32(entryAt(0) + sweep.rowAndObjects, true)).toBe(ROW);
    expect(threadIds().every((id) => id === 0)).toBe(true);
    expect(sweeping()).toBe(0);
  });

  test('inside another one is part of that', () => {
    const { rax: entry } = routines.call('nested', {});
    expect(entry).toBe(ledgerAddress + BigInt(entryAt(0)));
    expect(memory.getUint32(entryAt(0) + sweep.rowAndObjects, true)).toBe(ROW + 1);
    expect(sweeping()).toBe(0);
  });

  test('takes an entry that no other thread has', () => {
    for (const index of [0, 1]) memory.setUint32(entryAt(index) + sweep.threadId, 0xffff_fff0 + index, true);
    expect(routines.call('sweep', {}).rax).toBe(ledgerAddress + BigInt(entryAt(2)));
    expect(threadIds().slice(0, 3)).toEqual([0xffff_fff0, 0xffff_fff1, 0]);
  });

  test('is not marked where there is no room', () => {
    for (let index = 0; index < SWEEP_COUNT; index++) memory.setUint32(entryAt(index), 0xffff_fff0, true);
    expect(routines.call('sweep', {}).rax).toBe(0n);
    expect(threadIds().every((id) => id === 0xffff_fff0)).toBe(true);
    expect(sweeping()).toBe(0);
  });

  test('of each of many threads is its own', () => {
    const calls = Array.from({ length: 200 }, () => ({}));
    const results = routines.callAtOnce({ routine: 'sweep', calls }, { routine: 'sweep', calls });
    for (const { after } of results) expect(after.every(({ rax: entry }) => entry !== 0n)).toBe(true);
    expect(threadIds().every((id) => id === 0)).toBe(true);
    expect(sweeping()).toBe(0);
  });
});

describe('findSweep', () => {
  test('finds nothing while no thread sweeps, and keeps the value and the slot', () => {
    const after = routines.call('findSweep', { rcx: 1n, r10: 2n });
    expect(after).toMatchObject({ rax: 0n, rcx: 1n, r10: 2n });
  });

  test.each([
    ['NULL', () => 0n],
    ['below the stack', () => 0x1_0000n],
    ['above it', () => 0x7fff_0000_0000n],
    ['in other memory', () => routines.dataAddress],
  ])('drops an entry of a function that was left past its hook: its return address lies %s', (_what, address) => {
    memory.setUint32(header.sweeping, 1, true);
    expect(routines.call('strand', { rcx: address(), r8: 1n }).rax).toBe(0n);
    expect(threadIds()[0]).toBe(0);
    expect(sweeping()).toBe(0);
  });
});
