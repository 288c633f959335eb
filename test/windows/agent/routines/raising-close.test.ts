import { beforeEach, describe, expect, test } from 'vitest';

import { relative } from '../../../../src/agent/asm/operands.ts';
import { eax, rsp } from '../../../../src/agent/asm/registers.ts';
import { emitHook } from '../../../../src/agent/emit/hooks/call-hook.ts';
import { emitFindSweep } from '../../../../src/agent/emit/hooks/sweeps.ts';
import { emitRecordClose, emitRecordOpen } from '../../../../src/agent/emit/recorder/recorder.ts';
import { emitCloseRuntimeObject } from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import { slot } from '../../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { numberedRows } from '../../../../src/agent/tables/hook-table.ts';
import { emitMisuseRoutines } from './misuse-routines.ts';
import { placeRoutines } from './placed-routines.ts';

const STATUS_INVALID_HANDLE = 0xc000_0008;
const CREATE_EVENT = 1n | (1n << 16n);
const VALUE = 0x40n;
const { row, rowNumber } = numberedRows.find((each) => each.row.name === 'NtClose')!;

/**
 * The hook of NtClose before a call that does not come back: an exception passes the hook's frame, as when Windows
 * raises STATUS_INVALID_HANDLE and the program catches that.
 */
const routines = placeRoutines({
  ntdll: ['NtClose'],
  realNtdll: ['NtAllocateVirtualMemory'],
  emit(asm, { environment }) {
    const [raises, returns, raised, savedRsp, hook, plainHook] = asm.labels(
      'raises',
      'returns',
      'raised',
      'savedRsp',
      'hook',
      'plainHook',
    );
    const [catching, result] = asm.labels('catching', 'result');
    emitHook(asm, hook, raises, row, rowNumber, environment);
    emitHook(asm, plainHook, returns, row, rowNumber, environment);
    emitRecordOpen(asm, environment.recordOpen, environment);
    emitRecordClose(asm, environment.recordClose, environment);
    emitMisuseRoutines(asm, environment);
    emitCloseRuntimeObject(asm, environment.closeRuntimeObject, environment);
    emitFindSweep(asm, environment.findSweep, environment);
    asm.bind(environment.growSlots);
    asm.xor(eax, eax);
    asm.ret();
    asm.align(16);
    asm.bind(raises);
    asm.mov(rsp, relative(savedRsp));
    asm.jmp(raised);
    asm.bind(returns);
    asm.mov(eax, relative(result));
    asm.ret();
    asm.bind(catching);
    asm.sub(rsp, 0x28);
    asm.mov(relative(savedRsp), rsp);
    asm.call(hook);
    asm.bind(raised);
    asm.add(rsp, 0x28);
    asm.ret();
    asm.align(8);
    asm.bind(savedRsp);
    asm.data(new Uint8Array(8));
    asm.bind(result);
    asm.data(new Uint8Array(Uint32Array.of(STATUS_INVALID_HANDLE, 0).buffer));
    return { catching, plainHook, recordOpen: environment.recordOpen, recordClose: environment.recordClose };
  },
});

let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
});

function openAndClose(): void {
  routines.call('recordOpen', { rcx: VALUE, rdx: CREATE_EVENT, r8: 2n });
  const state = routines.memory.getBigUint64(routines.slotOffset(VALUE) + slot.state, true);
  routines.call('recordClose', { rcx: VALUE, rdx: state, r8: 3n, r9: 1n });
  expect([...ledger.openValues()]).toEqual([]);
}

const misuses = () => [...ledger.misuses()].map(({ kind, count, values }) => ({ kind, count, values }));

describe('a close that raises an exception', () => {
  test('of a value that is closed is a misuse, though it does not come back', () => {
    openAndClose();
    routines.call('catching', { rcx: VALUE });
    expect(misuses()).toMatchObject([{ kind: 'close', count: 1, values: [VALUE] }]);
  });

  test('of an open handle is none', () => {
    routines.call('recordOpen', { rcx: VALUE, rdx: CREATE_EVENT, r8: 2n });
    routines.call('catching', { rcx: VALUE });
    expect(misuses()).toEqual([]);
  });

  test('counts once where it comes back all the same', () => {
    openAndClose();
    const call = { rcx: VALUE };
    routines.callAtOnce({ routine: 'plainHook', calls: [call, call] });
    expect(misuses()).toMatchObject([{ kind: 'close', count: 2, values: [VALUE] }]);
  });
});
