import { header, stackNode } from '../../ledger/layout.ts';
import { misuse } from '../../ledger/misuse.ts';
import {
  STACK_SEEN,
  STACK_WATCH_SHIFT,
  STOP_CLAIMED,
  STOP_COUNT,
  STOP_DUE,
  STOP_MISUSE,
  STOP_SIZE_BYTES,
  STOP_STACK,
  stop,
  WATCH_COUNT,
} from '../../ledger/stop.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r10d, r8d, r9, rax, rcx } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { tebField } from '../abi/teb.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';

/**
 * Emits `void noteStop(u32 kind, u32 subject)`: this thread is to ask for a stop when its call returns. So many threads
 * may be about to ask that there is no entry left: then this one does not. A leaf function; clobbers rax, r9, r10, r8d.
 */
export function emitNoteStop(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next, claimed, full] = asm.labels('next', 'claimed', 'full');
  asm.align(16);
  asm.bind(begin);
  asm.mov(r9, linkSlots.ledger);
  asm.lea(r10, at(r9, header.stopTable));
  asm.bind(next);
  asm.xor(eax, eax);
  asm.mov(r8d, STOP_CLAIMED);
  asm.lockCmpxchg(at(r10, stop.state), r8d);
  asm.j('e', claimed);
  asm.add(r10, STOP_SIZE_BYTES);
  asm.lea(rax, at(r9, header.stopTable + STOP_COUNT * STOP_SIZE_BYTES));
  asm.cmp(r10, rax);
  asm.j('b', next);
  asm.jmp(full);
  asm.bind(claimed);
  asm.mov(eax, teb(tebField.threadId));
  asm.mov(at(r10, stop.threadId), eax);
  asm.mov(at(r10, stop.kind), ecx);
  asm.mov(at(r10, stop.subject), edx);
  asm.movImmediate32(at(r10, stop.state), STOP_DUE);
  asm.lockInc32(at(r9, header.stopsDue));
  asm.bind(full);
  asm.ret();
}

/**
 * Counts the misuse whose record is at rax: ecx is 1 before, and afterwards how often it had been counted before. The
 * first time is a moment to stop. Clobbers the other volatile registers where threads may be stopped.
 */
export function emitCountRecord(asm: Assembler, { linkSlots, stops }: RecorderEnvironment): void {
  asm.lockXadd(at(rax, misuse.count), ecx);
  if (stops === undefined) return;
  const counted = asm.label('counted');
  asm.test(ecx, ecx);
  asm.j('ne', counted);
  asm.sub(rax, linkSlots.misuses);
  asm.mov(edx, eax);
  asm.mov(ecx, STOP_MISUSE);
  asm.call(stops.noteStop);
  asm.xor(ecx, ecx);
  asm.bind(counted);
}

/** Counts the misuse whose record is at rax. Clobbers the volatile registers where threads may be stopped. */
export function emitCount(asm: Assembler, environment: RecorderEnvironment): void {
  if (environment.stops === undefined) asm.lockInc32(at(rax, misuse.count));
  else {
    asm.mov(ecx, 1);
    emitCountRecord(asm, environment);
  }
}

/**
 * Notes the opening of a handle, whose stack's id is in eax, if the auditor has not looked at the stack or watches it.
 * Clobbers the volatile registers.
 */
export function emitNoteOpening(asm: Assembler, { linkSlots, stops }: RecorderEnvironment): void {
  if (stops === undefined) return;
  const [note, done] = asm.labels('note', 'done');
  asm.mov(rcx, linkSlots.ledger);
  asm.cmpImmediate32(at(rcx, header.watchLimits), 0);
  asm.j('e', done);
  asm.test(eax, eax);
  asm.j('e', done);
  asm.mov(edx, eax);
  asm.mov(rcx, linkSlots.stackPool);
  asm.movzx16(r10, indexed(rcx, rax, 8, stackNode.openedType));
  asm.test(r10d, STACK_SEEN);
  asm.j('e', note);
  asm.test(r10d, (WATCH_COUNT - 1) << STACK_WATCH_SHIFT);
  asm.j('e', done);
  asm.bind(note);
  asm.mov(ecx, STOP_STACK);
  asm.call(stops.noteStop);
  asm.bind(done);
}
