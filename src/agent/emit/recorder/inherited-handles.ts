import { header, MAY_BE_INHERITABLE, slot, SLOT_SIZE_BYTES } from '../../ledger/layout.ts';
import { INHERITED_BY_NAME, INHERITED_COUNT, MISUSE_INHERITED } from '../../ledger/misuse.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r11d, r8, r9, r9d, rax, rcx, rdx } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { tebField } from '../abi/teb.ts';
import { emitAskForFlags } from './inheritable.ts';

/*
 * Records which of this process's handles a new process inherited. A start that inherits handles without a list of them
 * gives the child every inheritable handle that is open. Once the child is there, the agent asks the kernel about each
 * handle that may be inheritable by its opening.
 *
 * Other threads go on in the meantime. So the agent records only handles that were certainly there, and inheritable,
 * when the child was made: handles that this very thread opened, or that were open by the system's clock before the
 * call began. It stops once any thread has asked for a change of what is inheritable.
 */

const PROCESS_CREATE_FLAGS_INHERIT_HANDLES = 4;

/** PS_ATTRIBUTE, phnt's ntpsapi.h: {ULONG_PTR Attribute, SIZE_T Size, ULONG_PTR Value, PSIZE_T ReturnLength}. */
const ATTRIBUTE_SIZE_BYTES = 32;
/** The child inherits from another process, or the handles on a list. */
const PS_ATTRIBUTE_PARENT_PROCESS = 0x6_0000;
const PS_ATTRIBUTE_HANDLE_LIST = 0x2_000b;
/** More than there are attributes. */
const ATTRIBUTE_COUNT_MAX = 64;

/** RTL_USER_PROCESS_PARAMETERS, phnt's ntrtl.h. */
const parameters = {
  maximumLength: 0x00, // ULONG MaximumLength
  flags: 0x08, // ULONG Flags
  standardHandles: 0x20, // HANDLE StandardInput, StandardOutput, StandardError
  runtimeDataLength: 0xe0, // USHORT RuntimeData.Length
  runtimeDataBuffer: 0xe8, // PWSTR RuntimeData.Buffer
} as const;
const RTL_USER_PROC_PARAMS_NORMALIZED = 1;

/**
 * Limits for one child: handle values to look at, and questions to the kernel. A question takes four microseconds under
 * Wine.
 */
const SLOT_COUNT_MAX = 65_536;
const QUESTION_COUNT_MAX = 1024;

/** Home space, and NtQueryObject's fifth argument. */
const ARGUMENTS_SIZE_BYTES = 0x28;
const frame: FrameShape = { pushes: [], sizeBytes: ARGUMENTS_SIZE_BYTES + 14 * 8 };
const {
  began,
  changes,
  returnAddress,
  row,
  slotIndex,
  slotEnd,
  state,
  flags,
  namedHandles, // the handles that the C runtime's block for its child names, and how many
  namedCount,
  standardInput, // the child's standard handles, as indexes of slots
  standardOutput,
  standardError,
  questionsLeft,
} = framePlaces(
  frame,
  ARGUMENTS_SIZE_BYTES,
  'began',
  'changes',
  'returnAddress',
  'row',
  'slotIndex',
  'slotEnd',
  'state',
  'flags',
  'namedHandles',
  'namedCount',
  'standardInput',
  'standardOutput',
  'standardError',
  'questionsLeft',
);
const standardHandles = [standardInput, standardOutput, standardError] as const;

type Environment = LinkedEnvironment & { readonly countMisuse: Label };

/**
 * Emits `void noteInherited(u64 time before the call, u32 changes before it, u64* returnAddress, u32 row)`: records
 * the inherited handles after an NtCreateUserProcess that succeeded. The arguments of that call lie behind the return
 * address.
 */
export function emitNoteInherited(asm: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [next, end, cut, done] = asm.labels('next', 'end', 'cut', 'done');
    asm.mov(began, rcx);
    asm.mov(changes, rdx);
    asm.mov(returnAddress, r8);
    asm.mov(row, r9);
    asm.mov(eax, argument(6)); // ULONG ProcessFlags
    asm.test(eax, PROCESS_CREATE_FLAGS_INHERIT_HANDLES);
    asm.j('e', done);
    emitLookForList(asm, done);
    emitReadParameters(asm);
    emitLimitSlots(asm, environment);
    asm.movImmediate64(slotIndex, 0);
    asm.movImmediate64(questionsLeft, QUESTION_COUNT_MAX);

    asm.bind(next);
    asm.mov(rax, slotIndex);
    asm.add(rax, 1); // from 1 on: NULL is no handle
    asm.mov(slotIndex, rax);
    asm.cmp(rax, slotEnd);
    asm.j('ae', end);
    emitUnlessCertain(asm, next, environment);
    asm.sub(questionsLeft, 1);
    asm.j('s', cut);
    emitAskWhetherInheritable(asm, next, environment);
    emitUnlessUnchanged(asm, next, cut, environment);
    emitFindName(asm);
    emitCountInherited(asm, next, environment);
    asm.jmp(next);

    asm.bind(end);
    emitUnlessLeftOut(asm, done, environment);
    asm.bind(cut);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.inheritedCut));
    asm.bind(done);
    epilogue();
  });
}

/** Sets the end of the slots to look at. Clobbers rax, rdx. */
function emitLimitSlots(asm: Assembler, { linkSlots }: Environment): void {
  const enough = asm.label('enough');
  asm.mov(rax, linkSlots.ledger);
  asm.mov(rdx, at(rax, header.slotsUsed));
  asm.cmp(rdx, SLOT_COUNT_MAX);
  asm.j('be', enough);
  asm.mov(edx, SLOT_COUNT_MAX);
  asm.bind(enough);
  asm.mov(slotEnd, rdx);
}

/** Jumps to `none` unless there are slots behind those that were looked at. Clobbers rax, rdx. */
function emitUnlessLeftOut(asm: Assembler, none: Label, { linkSlots }: Environment): void {
  asm.mov(rax, linkSlots.ledger);
  asm.mov(rdx, at(rax, header.slotsUsed));
  asm.cmp(rdx, SLOT_COUNT_MAX);
  asm.j('be', none);
}

/**
 * Jumps to `otherwise` unless the slot whose index is in rax may have an inheritable handle, which was certainly there
 * when the child was made, and is none of its standard handles. Keeps rax, and the slot's state in its place. Clobbers
 * rcx, rdx, r10.
 */
function emitUnlessCertain(asm: Assembler, otherwise: Label, environment: Environment): void {
  const certain = asm.label('certain');
  emitSlot(asm, environment);
  asm.mov(rdx, at(r10, slot.state));
  asm.test(rdx, rdx);
  asm.j('s', otherwise); // quarantined, or being closed
  asm.test(edx, 1);
  asm.j('e', otherwise);
  asm.mov(state, rdx);
  asm.movzx16(rcx, at(r10, slot.openedCall));
  asm.sub(ecx, MAY_BE_INHERITABLE);
  asm.j('le', otherwise); // not inheritable, or open before recording began
  asm.mov(ecx, teb(tebField.threadId));
  asm.cmp(ecx, at(r10, slot.openedThread));
  asm.j('e', certain);
  asm.mov(rcx, at(r10, slot.openedTime));
  asm.cmp(rcx, began);
  asm.j('ae', otherwise);
  asm.bind(certain);
  for (const handle of standardHandles) {
    asm.cmp(rax, handle);
    asm.j('e', otherwise);
  }
}

/** Asks the kernel about the handle whose slot's index is in rax. Jumps to `not` unless it is inheritable. */
function emitAskWhetherInheritable(asm: Assembler, not: Label, environment: Environment): void {
  asm.mov(rcx, rax);
  asm.shl(rcx, 2);
  emitAskForFlags(asm, environment, flags);
  asm.test(eax, eax);
  asm.j('ne', not);
  asm.movzx8(rax, flags); // BOOLEAN Inherit
  asm.test(eax, eax);
  asm.j('e', not);
}

/**
 * `rax = the index of the slot`. Jumps to `changed` unless it has the same handle as before the question, and to `cut`
 * where the answer may be a new one, or there are as many records as a process may have. Clobbers rdx, r10.
 */
function emitUnlessUnchanged(asm: Assembler, changed: Label, cut: Label, environment: Environment): void {
  asm.mov(rax, slotIndex);
  emitSlot(asm, environment);
  asm.mov(rdx, at(r10, slot.state));
  asm.cmp(rdx, state);
  asm.j('ne', changed); // closed meanwhile, and perhaps opened as another object
  asm.mov(r10, environment.linkSlots.ledger);
  asm.mov(edx, at(r10, header.inheritanceChanges));
  asm.cmp(edx, changes);
  asm.j('ne', cut);
  asm.mov(edx, at(r10, header.inheritedRecords));
  asm.cmp(edx, INHERITED_COUNT);
  asm.j('ae', cut);
}

/**
 * `r9d = INHERITED_BY_NAME` where a C runtime's block names to the child the handle whose slot's index is in rax, and 0
 * otherwise. Keeps rax. Clobbers rcx, rdx, r11.
 */
function emitFindName(asm: Assembler): void {
  const [compare, unnamed] = asm.labels('compare', 'unnamed');
  asm.xor(r9d, r9d);
  asm.mov(rdx, namedHandles);
  asm.mov(r11, namedCount);
  asm.bind(compare);
  asm.sub(r11, 1);
  asm.j('s', unnamed);
  asm.mov(rcx, indexed(rdx, r11, 8));
  asm.shr(rcx, 2);
  asm.cmp(rcx, rax);
  asm.j('ne', compare);
  asm.mov(r9d, INHERITED_BY_NAME);
  asm.bind(unnamed);
}

/** Counts the handle whose slot's index is in rax, with r9d. Jumps to `known` unless its record is new. */
function emitCountInherited(asm: Assembler, known: Label, environment: Environment): void {
  asm.mov(rcx, rax);
  asm.shl(rcx, 2);
  asm.mov(rdx, row);
  asm.or(edx, MISUSE_INHERITED << 16);
  asm.mov(r8, returnAddress);
  asm.call(environment.countMisuse);
  asm.test(eax, eax);
  asm.j('ne', known);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.inheritedRecords));
}

/** An argument of NtCreateUserProcess; r8 is the address of its return address. */
function argument(index: number): Memory {
  return at(r8, 8 + index * 8);
}

/** `r10 = the slot whose index is in rax`. */
function emitSlot(asm: Assembler, { linkSlots }: Environment): void {
  asm.mov(r10, rax);
  asm.shl(r10, Math.log2(SLOT_SIZE_BYTES));
  asm.add(r10, linkSlots.slots);
}

/**
 * Jumps to `found` where the PS_ATTRIBUTE_LIST restricts what is inherited, or is too long to be a list. Keeps r8.
 */
function emitLookForList(asm: Assembler, found: Label): void {
  const [next, none] = asm.labels('next attribute', 'no list');
  asm.mov(rax, argument(10)); // PPS_ATTRIBUTE_LIST AttributeList
  asm.test(rax, rax);
  asm.j('e', none);
  asm.mov(rcx, at(rax)); // SIZE_T TotalLength, these 8 bytes included
  asm.sub(rcx, 8);
  asm.shr(rcx, Math.log2(ATTRIBUTE_SIZE_BYTES));
  asm.cmp(rcx, ATTRIBUTE_COUNT_MAX);
  asm.j('a', found);
  asm.add(rax, 8);
  asm.bind(next);
  asm.sub(rcx, 1);
  asm.j('s', none);
  asm.mov(rdx, at(rax)); // ULONG_PTR Attribute
  asm.add(rax, ATTRIBUTE_SIZE_BYTES);
  asm.cmp(rdx, PS_ATTRIBUTE_HANDLE_LIST);
  asm.j('e', found);
  asm.cmp(rdx, PS_ATTRIBUTE_PARENT_PROCESS);
  asm.j('ne', next);
  asm.jmp(found);
  asm.bind(none);
}

/**
 * Reads which handles the child learns: its standard ones, and those in STARTUPINFO's lpReserved2. There C runtimes and
 * libuv pass on file descriptors, as {int count, BYTE flags[count], HANDLE handles[count]}. Data of another form name
 * none.
 */
function emitReadParameters(asm: Assembler): void {
  const none = asm.label('none named');
  asm.movImmediate64(namedCount, 0);
  for (const handle of standardHandles) asm.movImmediate64(handle, 0);
  asm.mov(rax, argument(8)); // PRTL_USER_PROCESS_PARAMETERS ProcessParameters
  asm.test(rax, rax);
  asm.j('e', none);
  standardHandles.forEach((handle, index) => {
    asm.mov(rcx, at(rax, parameters.standardHandles + index * 8));
    asm.shr(rcx, 2);
    asm.mov(handle, rcx);
  });
  asm.mov(ecx, at(rax, parameters.flags));
  asm.test(ecx, RTL_USER_PROC_PARAMS_NORMALIZED); // otherwise there are offsets in place of pointers
  asm.j('e', none);
  asm.movzx16(rcx, at(rax, parameters.runtimeDataLength));
  asm.mov(rdx, at(rax, parameters.runtimeDataBuffer));
  // The data must lie in the block that the kernel has read whole.
  asm.cmp(rdx, rax);
  asm.j('b', none);
  asm.mov(r9d, at(rax, parameters.maximumLength));
  asm.add(r9, rax);
  asm.lea(r10, indexed(rdx, rcx, 1));
  asm.cmp(r10, r9);
  asm.j('a', none);
  asm.cmp(rcx, 4);
  asm.j('b', none);
  asm.mov(r11d, at(rdx));
  asm.lea(r9, indexed(r11, r11, 8, 4));
  asm.cmp(r9, rcx);
  asm.j('a', none);
  asm.lea(rdx, indexed(rdx, r11, 1, 4));
  asm.mov(namedHandles, rdx);
  asm.mov(namedCount, r11);
  asm.bind(none);
}
