import { sweptObjects, type SweepFunction } from '../../tables/function-table.ts';
import { typeIndex } from '../../tables/object-types.ts';
import {
  GIVEN_TO_WRONG_CLOSER,
  header,
  slot,
  sweep,
  SWEEP_COUNT,
  SWEEP_SIZE_BYTES,
  SWEPT,
} from '../../ledger/layout.ts';
import { runtimeObject } from '../../ledger/runtime-object.ts';
import { misuse, MISUSE_SWEPT, SWEPT_COUNT } from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r11, r11d, r8, r8d, r9, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramedFunction, framedFunction, returnAddressOffset } from '../abi/framed-function.ts';
import { tebField } from '../abi/teb.ts';
import { emitRuntimeObjectAddress, emitUnlink } from '../recorder/runtime-objects.ts';
import { emitSlotAddress } from '../recorder/slot-address.ts';
import type { Hook, HookEnvironment } from './hook-environment.ts';
import {
  emitKeepRow,
  emitPassThrough,
  emitReturnAddress,
  hookFrame,
  RESULT,
  ROW,
  sharedPlaces,
  TRAMPOLINE,
} from './hook-frame.ts';

/*
 * A sweep is a call of a function that closes whatever the program has left open: WSACleanup, for example. The program
 * has not closed such a handle, and so the stack that opened it does not learn where such handles are closed. Its value
 * may be given out again, so the close goes into the log of misuses, as a kind of its own.
 *
 * A thread stands in the table of sweeps while it is inside such a function. The hook of NtClose looks there only while
 * a counter says that the table has entries.
 */

/** A row's number, and what the function sweeps: {@link sweep.rowAndObjects}. */
export function rowAndObjects(rowNumber: number, { sweeps }: SweepFunction): number {
  return rowNumber | (sweptObjects.indexOf(sweeps) << 16);
}

/**
 * Emits `rax = void* findSweep()`: the calling thread's entry of the table of sweeps, or NULL. A leaf function; keeps
 * rcx and r10.
 *
 * An exception may have left the function past its hook, or the thread may have been terminated in it and its id may
 * be another's. So an entry counts only while the function's return address still lies on the stack above.
 */
export function emitFindSweep(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next, found, stale, none] = asm.labels('next', 'found', 'stale', 'none');
  asm.align(16);
  asm.bind(begin);
  asm.mov(r11, linkSlots.ledger);
  asm.lea(rax, at(r11, header.sweepTable));
  asm.lea(r8, at(rax, SWEEP_COUNT * SWEEP_SIZE_BYTES));
  asm.mov(edx, teb(tebField.threadId));
  asm.bind(next);
  asm.cmp(edx, at(rax, sweep.threadId));
  asm.j('e', found);
  asm.add(rax, SWEEP_SIZE_BYTES);
  asm.cmp(rax, r8);
  asm.j('b', next);
  asm.jmp(none);

  asm.bind(found);
  asm.mov(rdx, at(rax, sweep.returnAddress));
  asm.cmp(rdx, rsp);
  asm.j('be', stale);
  asm.cmp(rdx, teb(tebField.stackBase));
  asm.j('ae', stale);
  asm.test(edx, 7); // the target may have written here, and the read must not leave the stack
  asm.j('ne', stale);
  asm.mov(rdx, at(rdx));
  asm.cmp(rdx, at(rax, sweep.caller));
  asm.j('ne', stale);
  asm.ret();
  asm.bind(stale);
  asm.movImmediate32(at(rax, sweep.threadId), 0);
  asm.lockDec32(at(r11, header.sweeping));
  asm.bind(none);
  asm.xor(eax, eax);
  asm.ret();
}

/** Emits the hook that all sweeping functions share. A sweep inside a sweep is part of it. */
export function emitSweepHook(asm: Assembler, begin: Label, environment: HookEnvironment): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const [next, claimed, pass, done] = asm.labels('next', 'claimed', 'pass', 'done');
    const { entry } = sharedPlaces('entry');
    emitKeepRow(asm);
    asm.movImmediate64(entry, 0);
    asm.call(environment.findSweep);
    asm.test(rax, rax);
    asm.j('ne', pass);
    asm.mov(rcx, environment.linkSlots.ledger);
    asm.lea(rcx, at(rcx, header.sweepTable));
    asm.lea(r8, at(rcx, SWEEP_COUNT * SWEEP_SIZE_BYTES));
    asm.mov(edx, teb(tebField.threadId));
    asm.bind(next);
    asm.xor(eax, eax);
    asm.lockCmpxchg(at(rcx, sweep.threadId), edx);
    asm.j('e', claimed);
    asm.add(rcx, SWEEP_SIZE_BYTES);
    asm.cmp(rcx, r8);
    asm.j('b', next);
    asm.jmp(pass); // so many sweeps at once are not told from closes
    asm.bind(claimed);
    emitReturnAddress(asm);
    asm.mov(at(rcx, sweep.returnAddress), r8);
    asm.mov(rax, at(r8));
    asm.mov(at(rcx, sweep.caller), rax);
    asm.mov(r10, ROW);
    asm.mov(at(rcx, sweep.rowAndObjects), r10d);
    asm.mov(entry, rcx);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.sweeping));

    asm.bind(pass);
    emitPassThrough(asm, TRAMPOLINE, 0);
    asm.mov(rcx, entry);
    asm.test(rcx, rcx);
    asm.j('e', done);
    // A fiber may have found the entry stale, and its place may be another thread's.
    asm.mov(edx, teb(tebField.threadId));
    asm.cmp(edx, at(rcx, sweep.threadId));
    asm.j('ne', done);
    asm.lea(rax, at(rsp, returnAddressOffset(hookFrame)));
    asm.cmp(rax, at(rcx, sweep.returnAddress));
    asm.j('ne', done);
    asm.movImmediate32(at(rcx, sweep.threadId), 0);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockDec32(at(rax, header.sweeping));
    asm.bind(done);
    asm.mov(rax, RESULT);
    epilogue();
  });
}

/** Places of the hook of NtClose: the first two are those that it has for every close. */
interface SweptPlaces {
  readonly value: Memory;
  readonly state: Memory;
  /** The number of the sweeping function's row, and {@link SWEPT} above bit 16; 0 for a close of the program's own. */
  readonly swept: Memory;
  /** Address of the record; 0 where there was no room. */
  readonly record: Memory;
  /** Address of the FILE that the function closes, and with it the handle; 0 for none. */
  readonly stream: Memory;
}

/**
 * Notes a handle that a sweep is about to close: before the call, because afterwards the value may be another object's.
 * Jumps to `notSwept` where the thread does not sweep, or does not sweep such a handle. Keeps rcx, the value.
 */
export function emitNoteSwept(hook: Hook, places: SweptPlaces, notSwept: Label): void {
  const { asm, environment } = hook;
  const [streams, intern, full, noted, linked] = asm.labels('streams', 'intern', 'full', 'noted', 'linked');
  asm.mov(rax, places.state);
  asm.test(eax, 1);
  asm.j('e', notSwept);
  asm.mov(r10, rcx);
  emitSlotAddress(asm, r10, notSwept, environment);
  asm.call(environment.findSweep);
  asm.test(rax, rax);
  asm.j('e', notSwept);
  asm.mov(edx, at(rax, sweep.rowAndObjects));
  asm.movImmediate64(places.stream, 0);
  asm.mov(eax, edx);
  asm.shr(eax, 16);
  asm.cmp(eax, sweptObjects.indexOf('streams'));
  asm.j('e', streams);
  asm.movzx16(rax, at(r10, slot.objectType));
  asm.cmp(eax, typeIndex('Socket'));
  asm.j('ne', notSwept);
  asm.jmp(intern);

  asm.bind(streams);
  emitRuntimeObjectAddress(asm, rax, at(r10, slot.runtimeObject), notSwept, environment);
  asm.cmp(at(rax, runtimeObject.handle), rcx);
  asm.j('ne', notSwept);
  asm.mov(r11, at(rax, slot.state));
  asm.test(r11d, 1);
  asm.j('e', notSwept);
  asm.movzx16(r11, at(rax, slot.objectType));
  asm.cmp(r11d, typeIndex('FILE'));
  asm.j('ne', notSwept);
  asm.mov(places.stream, rax);

  asm.bind(intern);
  asm.and(edx, 0xffff);
  asm.mov(eax, edx);
  asm.or(eax, SWEPT << 16);
  asm.mov(places.swept, rax);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.mov(r8d, at(rax, header.sweptRecords));
  asm.cmp(r8d, SWEPT_COUNT);
  asm.j('ae', full);
  asm.or(edx, MISUSE_SWEPT << 16);
  emitReturnAddress(asm);
  // A handle that was given to a wrong closer has a record apart: it is no leak.
  asm.movzx16(r9, at(r10, slot.openedCall));
  asm.and(r9d, GIVEN_TO_WRONG_CLOSER);
  asm.call(environment.internMisuse);
  asm.jmp(noted);
  asm.bind(full);
  asm.lockInc32(at(rax, header.sweptDropped));
  asm.xor(eax, eax);
  asm.bind(noted);
  asm.mov(places.record, rax);
  asm.mov(r10, places.stream);
  asm.test(r10, r10);
  asm.j('e', linked);
  emitUnlink(asm, environment);
  asm.bind(linked);
  asm.mov(rcx, places.value);
}

/** After the close: counts the record, and records the FILE and its descriptor as closed. */
export function emitSettleSwept({ asm, environment }: Hook, places: SweptPlaces): void {
  const [counted, closed, done] = asm.labels('counted', 'closed', 'done');
  asm.mov(rax, places.record);
  asm.test(rax, rax);
  asm.j('e', counted);
  asm.mov(ecx, 1);
  asm.lockXadd(at(rax, misuse.count), ecx);
  asm.test(ecx, ecx);
  asm.j('ne', counted);
  asm.mov(rdx, environment.linkSlots.ledger);
  asm.lockInc32(at(rdx, header.sweptRecords));
  asm.mov(rcx, places.stream);
  asm.test(rcx, rcx);
  asm.j('e', counted);
  asm.mov(edx, at(rcx, runtimeObject.descriptor));
  asm.test(edx, edx);
  asm.j('e', counted);
  asm.mov(edx, at(rcx, runtimeObject.descriptorNumber));
  asm.add(edx, 1);
  asm.mov(at(rax, misuse.descriptor), edx);
  asm.bind(counted);

  // The runtime has not come back from its close, so it has given neither of them out again.
  const close = (next: Label) => {
    asm.mov(rdx, at(rcx, slot.state));
    asm.test(edx, 1);
    asm.j('e', next);
    emitReturnAddress(asm);
    asm.mov(r9d, places.swept);
    asm.call(environment.closeRuntimeObject);
  };
  asm.mov(rcx, places.stream);
  asm.test(rcx, rcx);
  asm.j('e', done);
  emitRuntimeObjectAddress(asm, rax, at(rcx, runtimeObject.descriptor), closed, environment);
  asm.mov(rdx, places.value);
  asm.cmp(rdx, at(rax, runtimeObject.handle)); // another key may have taken its entry
  asm.j('ne', closed);
  asm.mov(rcx, rax);
  close(closed);
  asm.bind(closed);
  asm.mov(rcx, places.stream);
  close(done);
  asm.bind(done);
}
