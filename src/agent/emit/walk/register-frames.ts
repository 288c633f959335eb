import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory, relative } from '../../asm/operands.ts';
import { eax, edx, r8, r8d, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/** The agent's own RUNTIME_FUNCTION table, the u32 with its length, and the address that its entries count from. */
export interface FramesEnvironment extends LinkedEnvironment {
  readonly functionTable: Label;
  readonly functionCount: Label;
  readonly imageBase: Label;
}

/**
 * Registers the agent's frames with the unwinder. The kernel, which walks stacks for tracing and for debuggers, knows
 * only of growable tables. They are new in Windows 8.
 *
 * https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-rtladdgrowablefunctiontable
 */
export function emitRegisterFrames(asm: Assembler, scratch: Memory, environment: FramesEnvironment): void {
  const [old, registered] = asm.labels('old', 'registered');
  const addGrowableTable = environment.ntdllImport('RtlAddGrowableFunctionTable');
  asm.cmp(addGrowableTable, 0);
  asm.j('e', old);
  asm.lea(rcx, scratch); // PVOID *DynamicTable: the table stays for ever
  asm.lea(rdx, relative(environment.functionTable));
  asm.mov(r8d, relative(environment.functionCount)); // DWORD EntryCount
  asm.mov(r9d, r8d); // DWORD MaximumEntryCount
  asm.lea(rax, relative(environment.imageBase));
  asm.mov(at(rsp, 0x20), rax); // ULONG_PTR RangeBase
  asm.mov(at(rsp, 0x28), rdx); // ULONG_PTR RangeEnd: the table lies behind all code
  asm.call(addGrowableTable);
  asm.test(eax, eax);
  asm.j('ns', registered);
  asm.bind(old);
  asm.lea(rcx, relative(environment.functionTable));
  asm.mov(edx, relative(environment.functionCount));
  asm.lea(r8, relative(environment.imageBase));
  asm.call(environment.ntdllImport('RtlAddFunctionTable'));
  asm.bind(registered);
}
