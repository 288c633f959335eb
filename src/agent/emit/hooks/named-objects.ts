import type { Assembler } from '../../asm/assembler.ts';
import { at, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, rax, rcx, rsp } from '../../asm/registers.ts';
import { GATE_NAME_TEXT } from '../../linkage/gate-name.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

// The auditor's objects, which the agent opens by their names for as long as it needs them.

export const EVENT_MODIFY_STATE = 0x2;
export const MUTANT_ACCESS = 0x10_0001; // SYNCHRONIZE | MUTANT_QUERY_STATE
const OBJ_CASE_INSENSITIVE = 0x40;

/** OBJECT_ATTRIBUTES, 0x30 bytes, and a UNICODE_STRING behind them. */
export const NAMED_ATTRIBUTES_SIZE_BYTES = 0x40;
const NAME_OFFSET = 0x30;

interface NamedObject {
  /** `NtOpenEvent` or `NtOpenMutant`. */
  readonly call: string;
  readonly access: number;
  /** Emits code that leaves the address of the name's room in rax; see {@link setGateName}. */
  readonly loadName: () => void;
  /** Offset in the frame of {@link NAMED_ATTRIBUTES_SIZE_BYTES} bytes. */
  readonly attributes: number;
  /** Place of the handle. */
  readonly opened: Memory;
}

/** Emits `NtOpen…(&opened, access, &attributes)`. The result is in eax, and was tested. */
export function emitOpenNamed(
  asm: Assembler,
  environment: LinkedEnvironment,
  { call, access, loadName, attributes, opened }: NamedObject,
): void {
  const name = attributes + NAME_OFFSET;
  asm.movImmediate64(at(rsp, attributes), 0x30); // ULONG Length
  asm.movImmediate64(at(rsp, attributes + 0x08), 0); // HANDLE RootDirectory
  asm.lea(rax, at(rsp, name));
  asm.mov(at(rsp, attributes + 0x10), rax); // PUNICODE_STRING ObjectName
  asm.movImmediate64(at(rsp, attributes + 0x18), OBJ_CASE_INSENSITIVE); // ULONG Attributes
  asm.movImmediate64(at(rsp, attributes + 0x20), 0); // PVOID SecurityDescriptor
  asm.movImmediate64(at(rsp, attributes + 0x28), 0); // PVOID SecurityQualityOfService
  loadName();
  asm.mov(ecx, at(rax)); // USHORT Length, MaximumLength
  asm.mov(at(rsp, name), rcx);
  asm.add(rax, GATE_NAME_TEXT);
  asm.mov(at(rsp, name + 8), rax); // PWSTR Buffer
  asm.lea(rcx, opened);
  asm.mov(edx, access);
  asm.lea(r8, at(rsp, attributes));
  asm.call(environment.ntdllImport(call));
  asm.test(eax, eax);
}
