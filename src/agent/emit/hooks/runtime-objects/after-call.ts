import { typeIndex } from '../../../tables/object-types.ts';
import { slot } from '../../../ledger/layout.ts';
import { runtimeObject } from '../../../ledger/runtime-object.ts';
import { misuse } from '../../../ledger/misuse.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../../asm/operands.ts';
import { eax, ecx, edx, r10, r8, r9d, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { INT, NEGATIVE, POSITIVE, runtimeObjectRow, ZERO } from '../../../linkage/runtime-object-row.ts';
import { returnAddressOffset } from '../../abi/framed-function.ts';
import { emitCount } from '../../recorder/note-stop.ts';
import { emitUnmarkGiven } from '../../recorder/strangers.ts';
import type { HookEnvironment } from '../hook-environment.ts';
import { places, runtimeObjectFrame } from './runtime-object-frame.ts';

// How the hook of runtime objects judges a call that has come back, and records what it closed.

/** Finds out whether the call has failed, by its result in rax. Clobbers rcx, rdx. */
export function emitJudgeResult(asm: Assembler): void {
  const [wide, judged] = asm.labels('wide', 'judged');
  asm.mov(rdx, places.row);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.failure));
  asm.test(ecx, INT);
  asm.j('e', wide);
  asm.movsxd(rax, eax);
  asm.bind(wide);
  asm.test(rax, rax);
  asm.mov(edx, NEGATIVE); // a mov keeps the flags
  asm.j('s', judged);
  asm.mov(edx, ZERO);
  asm.j('e', judged);
  asm.mov(edx, POSITIVE);
  asm.bind(judged);
  asm.and(edx, ecx);
  asm.mov(places.failed, rdx);
}

/** Counts the misuse of a call that has come back, if the call failed or its result cannot tell. */
export function emitSettleMisuse(asm: Assembler, environment: HookEnvironment): void {
  const [notClosed, counts, done] = asm.labels('notClosed', 'counts', 'done');
  asm.mov(rax, places.pending);
  asm.test(rax, rax);
  asm.j('e', done);
  asm.lockDec32(at(rax, misuse.pending));
  asm.mov(r10, places.strangeHandle);
  asm.test(r10, r10);
  asm.j('e', notClosed);
  asm.mov(rcx, at(r10, slot.state));
  asm.cmp(rcx, places.strangeState);
  asm.j('e', notClosed);
  asm.lockInc32(at(rax, misuse.closedCount));
  asm.jmp(counts);
  asm.bind(notClosed);
  asm.cmp(places.failed, 0);
  asm.j('ne', counts);
  asm.mov(rdx, places.row);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.failure));
  asm.test(ecx, ecx);
  asm.j('e', counts);
  // It was the right function after all: a descriptor that the process was born with, say.
  asm.test(r10, r10);
  asm.j('e', done);
  emitUnmarkGiven(asm, r10);
  asm.jmp(done);
  asm.bind(counts);
  emitCount(asm, environment);
  asm.bind(done);
}

/**
 * Records what the call has closed. A library gives an object up even when it cannot close the handle beneath. Some
 * functions leave it as it was when they fail. A descriptor that the recorder had not seen counts from now on as one
 * that was open and is closed.
 */
export function emitRecordCloses(asm: Assembler, environment: HookEnvironment): void {
  const [record, unseen, done] = asm.labels('record', 'unseen', 'done');
  const close = (memory: Memory, state: Memory, otherwise: Label) => {
    asm.mov(rcx, memory);
    asm.test(rcx, rcx);
    asm.j('e', otherwise);
    asm.mov(rdx, state);
    call();
  };
  const call = () => {
    asm.lea(r8, at(rsp, returnAddressOffset(runtimeObjectFrame)));
    asm.mov(rax, places.row);
    asm.mov(r9d, at(rax, runtimeObjectRow.number));
    asm.call(environment.closeRuntimeObject);
  };
  asm.cmp(places.failed, 0);
  asm.j('e', record);
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.keepsOnFailure));
  asm.test(eax, eax);
  asm.j('ne', done);
  asm.bind(record);
  close(places.closing, places.closingState, unseen);
  close(places.descriptor, places.descriptorState, done);
  asm.jmp(done);

  asm.bind(unseen);
  asm.mov(rdx, places.row);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.closesType));
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.j('ne', done);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.or(rax, places.failed);
  asm.j('ne', done);
  asm.mov(rcx, places.argument);
  asm.mov(ecx, ecx);
  asm.or(rcx, at(rdx, runtimeObjectRow.keyBits));
  asm.call(environment.claimRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', done);
  asm.cmp(at(r10, slot.state), 0);
  asm.j('ne', done); // another thread has opened it
  asm.movImmediate64(at(r10, runtimeObject.handle), 0);
  asm.movImmediate32(at(r10, slot.openedGeneration), 1);
  asm.movImmediate32(at(r10, slot.openedCall), typeIndex('Descriptor') << 16); // no call: it was there before
  asm.movImmediate64(at(r10, slot.state), 3); // generation 1, open
  asm.mov(rcx, r10);
  asm.mov(edx, 3);
  call();
  asm.bind(done);
}
