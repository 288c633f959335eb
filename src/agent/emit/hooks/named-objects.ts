import { slot } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r8, r8d, r9, rax, rcx, rdx, type Register, rsp } from '../../asm/registers.ts';
import { GATE_NAME_LENT, GATE_NAME_TEXT } from '../../linkage/gate-name.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { DUPLICATE_SAME_ACCESS, emitDuplicateHandle } from '../abi/duplicate-handle.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitSlotAddress, type SlotEnvironment } from '../recorder/slot-address.ts';

/*
 * The auditor's objects, which the agent opens by their names for as long as it needs them. Where a target cannot, as
 * in a sandbox, the auditor has lent it handles of them (inject/loans.ts). The agent then duplicates these, so that all
 * else is the same.
 */

const OBJ_CASE_INSENSITIVE = 0x40;

/** OBJECT_ATTRIBUTES, 0x30 bytes, and a UNICODE_STRING behind them. */
export const NAMED_ATTRIBUTES_SIZE_BYTES = 0x40;
const NAME_OFFSET = 0x30;

export interface NamedEnvironment extends LinkedEnvironment {
  readonly openLent: Label;
}

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

/**
 * Emits `NtOpen…(&opened, access, &attributes)`, and where that is refused {@link emitOpenLent}. The result is in eax,
 * and was tested.
 */
export function emitOpenNamed(
  asm: Assembler,
  environment: NamedEnvironment,
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
  const isOpen = asm.label('isOpen');
  asm.j('ns', isOpen);
  asm.mov(r8d, eax);
  loadName();
  asm.mov(rcx, rax);
  asm.lea(rdx, opened);
  asm.call(environment.openLent);
  asm.test(eax, eax);
  asm.bind(isOpen);
}

const lentFrame: FrameShape = { pushes: [], sizeBytes: 0x38 };

/**
 * Jumps to `none` unless the handle in a register is one that the auditor has lent. The program may have closed it, and
 * got its value for an object of its own. The slot of the value tells: as long as it is the auditor's, no call of the
 * program's has opened or closed it. Changes rax.
 */
export function emitCheckLent(asm: Assembler, handle: Register, none: Label, environment: SlotEnvironment): void {
  asm.mov(rax, handle);
  asm.test(rax, rax);
  asm.j('e', none);
  emitSlotAddress(asm, rax, none, environment);
  asm.mov(rax, at(rax, slot.state));
  asm.test(rax, rax);
  asm.j('ne', none);
}

/**
 * Emits `NTSTATUS openLent(name* rcx, HANDLE* opened, NTSTATUS refusal)`: duplicates the handle that the auditor has
 * lent of an object. Returns the refusal where there is none.
 */
export function emitOpenLent(
  asm: Assembler,
  begin: Label,
  environment: SlotEnvironment & Pick<LinkedEnvironment, 'ntdllImport'>,
): FramedFunction {
  return framedFunction(asm, begin, lentFrame, (epilogue) => {
    const [none] = asm.labels('none');
    asm.mov(r9, rdx);
    asm.mov(ecx, at(rcx, GATE_NAME_LENT));
    asm.add(rcx, environment.linkSlots.ledger);
    asm.mov(rdx, at(rcx));
    emitCheckLent(asm, rdx, none, environment);
    emitDuplicateHandle(asm, environment, at(r9), DUPLICATE_SAME_ACCESS);
    epilogue();
    asm.bind(none);
    asm.mov(eax, r8d);
    epilogue();
  });
}
