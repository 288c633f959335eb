import { GATE_ENDING_THREADS, GATE_WAITING, header } from '../../ledger/layout.ts';
import { at, type Label, relative, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, r8d, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { tebField } from '../abi/teb.ts';
import { THIS_PROCESS } from '../recorder/this-process.ts';
import type { Hook } from './hook-environment.ts';
import { emitReturnAddress, hookPlaces, usedHandles } from './hook-frame.ts';
import { emitReportUses } from './hook-steps.ts';

/** The parts of a hook in the making that its last steps need. */
type Emitting = Pick<Hook, 'asm' | 'environment'>;

const CURRENT_THREAD = -2n;
const ThreadAmILastThread = 12; // THREADINFOCLASS

/** Emits the hook of NtTerminateProcess. */
export function emitExits(hook: Hook): void {
  const { asm, environment } = hook;
  const [gate, begins, alone, pass] = asm.labels('gate', 'begins', 'alone', 'pass');
  const { exitCode, isLast } = hookPlaces('process', 'exitCode', 'isLast');
  const [process] = usedHandles;
  asm.mov(process, rcx);
  asm.mov(exitCode, rdx);
  asm.cmp(rcx, -1);
  asm.j('e', gate);
  asm.test(rcx, rcx);
  asm.j('e', begins);
  asm.call(environment.isThisProcess);
  asm.cmp(eax, THIS_PROCESS);
  asm.j('ne', pass);
  asm.mov(rcx, environment.linkSlots.ledger);
  asm.mov(rax, process);
  asm.mov(at(rcx, header.exitHandle), rax);
  asm.bind(gate);
  emitNoteExit(hook);
  asm.mov(rcx, exitCode);
  emitStop(hook, GATE_WAITING, environment.judgedName);
  asm.jmp(pass);

  asm.bind(begins); // NULL ends the other threads: the first step of an orderly exit
  emitNoteExit(hook);
  asm.mov(rcx, CURRENT_THREAD);
  asm.mov(edx, ThreadAmILastThread);
  asm.lea(r8, isLast);
  asm.mov(r9d, 4); // ULONG
  asm.movImmediate64(at(rsp, 0x20), 0); // PULONG ReturnLength
  asm.movImmediate64(isLast, 0);
  asm.call(environment.ntdllImport('NtQueryInformationThread'));
  asm.mov(rax, isLast);
  asm.test(eax, eax);
  asm.j('ne', alone);
  asm.mov(rcx, exitCode);
  emitStop(hook, GATE_ENDING_THREADS, environment.threadsSeenName);
  asm.bind(alone);
  asm.mov(rcx, environment.linkSlots.ledger);
  asm.movImmediate32(at(rcx, header.exiting), 1);
  asm.add(rcx, header.exitingTime);
  asm.call(environment.ntdllImport('NtQuerySystemTime'));

  asm.bind(pass);
  asm.mov(rcx, process);
  asm.mov(rdx, exitCode);
  hook.passThrough();
  emitReportUses(hook);
  hook.return();
}

/** Emits the hook of NtRaiseException. */
export function emitRaises(hook: Hook): void {
  const { asm, environment } = hook;
  const [pass, noted] = asm.labels('pass', 'noted');
  const { exceptionRecord, contextRecord, firstChance } = hookPlaces('exceptionRecord', 'contextRecord', 'firstChance');
  asm.mov(exceptionRecord, rcx);
  asm.mov(contextRecord, rdx);
  asm.mov(firstChance, r8);
  asm.mov(eax, r8d); // BOOLEAN FirstChance
  asm.and(eax, 0xff);
  asm.j('ne', pass);
  emitClaimExit(hook, noted);
  asm.movImmediate32(at(rcx, header.exitByException), 1); // without a walk: the stack may have no room left
  asm.bind(noted);
  asm.mov(rcx, exceptionRecord);
  asm.mov(ecx, at(rcx)); // NTSTATUS ExceptionCode becomes the exit code
  emitStop(hook, GATE_WAITING, environment.judgedName);
  asm.bind(pass);
  asm.mov(rcx, exceptionRecord);
  asm.mov(rdx, contextRecord);
  asm.mov(r8, firstChance);
  hook.passThrough();
  hook.return();
}

/** Notes the stack of the call that makes the process exit. The first such call counts: others follow from it. */
function emitNoteExit(hook: Hook): void {
  const { asm, environment } = hook;
  const [noted] = asm.labels('noted');
  emitClaimExit(hook, noted);
  emitReturnAddress(asm);
  asm.mov(rcx, r8);
  asm.xor(edx, edx);
  asm.call(environment.captureStack);
  asm.mov(rcx, environment.linkSlots.ledger);
  asm.mov(at(rcx, header.exitStack), eax);
  asm.bind(noted);
}

/** Notes that this thread ends the process, or jumps to `taken` when another one does. Leaves the ledger in rcx. */
export function emitClaimExit({ asm, environment }: Emitting, taken: Label): void {
  asm.mov(rcx, environment.linkSlots.ledger);
  asm.mov(edx, teb(tebField.threadId));
  asm.xor(eax, eax);
  asm.lockCmpxchg(at(rcx, header.exitThread), edx);
  asm.j('ne', taken);
}

/** Waits at the gate; ecx has the exit code. */
export function emitStop({ asm, environment }: Emitting, state: number, name: Label): void {
  asm.mov(edx, state);
  asm.lea(r8, relative(name));
  asm.call(environment.exitGate);
}
