import { header } from '../../ledger/layout.ts';
import { at } from '../../asm/operands.ts';
import { eax, ecx, r8, r8d, rcx, rdx } from '../../asm/registers.ts';
import { THIS_PROCESS } from '../recorder/this-process.ts';
import type { Hook } from './hook-environment.ts';
import { hookPlaces, usedHandles } from './hook-frame.ts';
import { emitReportUses } from './hook-steps.ts';

/** Emits the hook of NtTerminateProcess. */
export function emitExits(hook: Hook): void {
  const { asm, environment } = hook;
  const [gate, begins, pass] = asm.labels('gate', 'begins', 'pass');
  const { exitCode } = hookPlaces('process', 'exitCode');
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
  asm.bind(gate);
  asm.mov(rcx, exitCode);
  asm.call(environment.exitGate);
  asm.jmp(pass);
  asm.bind(begins); // NULL ends the other threads: the first step of an orderly exit
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
  const [pass] = asm.labels('pass');
  const { exceptionRecord, contextRecord, firstChance } = hookPlaces('exceptionRecord', 'contextRecord', 'firstChance');
  asm.mov(exceptionRecord, rcx);
  asm.mov(contextRecord, rdx);
  asm.mov(firstChance, r8);
  asm.mov(eax, r8d); // BOOLEAN FirstChance
  asm.and(eax, 0xff);
  asm.j('ne', pass);
  asm.mov(ecx, at(rcx)); // NTSTATUS ExceptionCode becomes the exit code
  asm.call(environment.exitGate);
  asm.bind(pass);
  asm.mov(rcx, exceptionRecord);
  asm.mov(rdx, contextRecord);
  asm.mov(r8, firstChance);
  hook.passThrough();
  hook.return();
}
