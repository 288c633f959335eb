import { misuse } from '../../../ledger/layout.ts';
import type { Assembler } from '../../../asm/assembler.ts';
import { at, type Memory } from '../../../asm/operands.ts';
import { eax, ecx, edx, r8, r9d, rax, rcx, rdx, rsp } from '../../../asm/registers.ts';
import { INT, NEGATIVE, POSITIVE, runtimeObjectRow, ZERO } from '../../../linkage/runtime-object-row.ts';
import { returnAddressOffset } from '../../abi/framed-function.ts';
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
export function emitSettleMisuse(asm: Assembler): void {
  const [counts, done] = asm.labels('counts', 'done');
  asm.mov(rax, places.pending);
  asm.test(rax, rax);
  asm.j('e', done);
  asm.lockDec32(at(rax, misuse.pending));
  asm.cmp(places.failed, 0);
  asm.j('ne', counts);
  asm.mov(rdx, places.row);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.failure));
  asm.test(ecx, ecx);
  asm.j('ne', done);
  asm.bind(counts);
  asm.lockInc32(at(rax, misuse.count));
  asm.bind(done);
}

/**
 * Records what the call has closed. A library gives an object up even when it cannot close the handle beneath. Some
 * functions leave it as it was when they fail.
 */
export function emitRecordCloses(asm: Assembler, environment: HookEnvironment): void {
  const [record, done] = asm.labels('record', 'done');
  const close = (memory: Memory, state: Memory) => {
    asm.mov(rcx, memory);
    asm.test(rcx, rcx);
    asm.j('e', done);
    asm.mov(rdx, state);
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
  close(places.closing, places.closingState);
  close(places.descriptor, places.descriptorState);
  asm.bind(done);
}
