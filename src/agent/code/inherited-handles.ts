import { header, INHERITED_BY_NAME, INHERITED_COUNT, MAY_BE_INHERITABLE, MISUSE_INHERITED, SLOT_SIZE_BYTES, slot } from '../ledger-layout.ts';
import { type Assembler, at, indexed, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, rsp, teb } from './assembler.ts';
import type { Hook, HookBody, HookEnvironment } from './hook-frame.ts';
import { emitSlotAddress } from './recorder.ts';
import { tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/*
 * What a new process inherited of this one's handles. A start by which handles are inherited, and without a list of them, gives the child
 * every inheritable handle that is open. Which these are is asked of the kernel, once the child is there, about each that may be inheritable by
 * what it was opened with.
 *
 * In the meantime other threads go on. So only what certainly was there and inheritable when the child was made is noted: a handle that this
 * very thread opened, or that was open before the call began by the system's clock; and nothing once somebody has asked for a change of what is
 * inheritable.
 */

/** OBJECT_INFORMATION_CLASS; the answer is {BOOLEAN Inherit, BOOLEAN ProtectFromClose}. */
export const ObjectHandleFlagInformation = 4;

/** OBJECT_ATTRIBUTES.Attributes, and the HandleAttributes of NtDuplicateObject. */
export const OBJ_INHERIT = 2;
const ATTRIBUTES_OFFSET = 0x18; // ULONG Attributes

const PROCESS_CREATE_FLAGS_INHERIT_HANDLES = 4;

/** PS_ATTRIBUTE, phnt's ntpsapi.h: {ULONG_PTR Attribute, SIZE_T Size, ULONG_PTR Value, PSIZE_T ReturnLength}. */
const ATTRIBUTE_SIZE_BYTES = 32;
/** What is inherited comes from another process, or is listed. */
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

/** Handle values that are looked at for one child, and how many of them are asked about; a question takes four microseconds under Wine. */
const SLOT_COUNT_MAX = 65_536;
const QUESTION_COUNT_MAX = 1024;

/** Home space and NtQueryObject's fifth argument, and places of our own. */
const frame: FrameShape = { pushes: [], sizeBytes: 0x28 + 14 * 8 };
const place = (index: number): Memory => at(rsp, 0x28 + index * 8);
const began = place(0);
const changes = place(1);
const returnAddress = place(2);
const row = place(3);
const slotIndex = place(4);
const slotEnd = place(5);
const state = place(6);
const flags = place(7);
/** Handles that the C runtime's block for its child names. */
const namedHandles = place(8);
const namedCount = place(9);
/** The child's standard handles, as indexes of slots. */
const standardHandles = [place(10), place(11), place(12)] as const;
const questionsLeft = place(13);

type Environment = Pick<HookEnvironment, 'words' | 'native' | 'recordMisuse'>;

/**
 * Emits `void noteInherited(u64 time before the call, u32 changes before it, u64* returnAddress, u32 row)`: after an NtCreateUserProcess that
 * succeeded. The arguments of that call lie behind the return address.
 */
export function emitNoteInherited(assembler: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [enough, next, certain, compare, unnamed, end, cut, done] = assembler.labels(
      'enough', 'next', 'certain', 'compare', 'unnamed', 'end', 'cut', 'done',
    ); // prettier-ignore
    assembler.mov(began, rcx);
    assembler.mov(changes, rdx);
    assembler.mov(returnAddress, r8);
    assembler.mov(row, r9);
    assembler.mov(low32(rax), argument(6)); // ULONG ProcessFlags
    assembler.test(low32(rax), PROCESS_CREATE_FLAGS_INHERIT_HANDLES);
    assembler.j('e', done);
    emitLookForList(assembler, done);
    emitReadParameters(assembler);

    assembler.mov(rax, environment.words.ledger);
    assembler.mov(rdx, at(rax, header.slotsUsed));
    assembler.cmp(rdx, SLOT_COUNT_MAX);
    assembler.j('be', enough);
    assembler.mov(low32(rdx), SLOT_COUNT_MAX);
    assembler.bind(enough);
    assembler.mov(slotEnd, rdx);
    assembler.movImmediate64(slotIndex, 0);
    assembler.movImmediate64(questionsLeft, QUESTION_COUNT_MAX);

    assembler.bind(next);
    assembler.mov(rax, slotIndex);
    assembler.add(rax, 1); // from 1 on: NULL is no handle
    assembler.mov(slotIndex, rax);
    assembler.cmp(rax, slotEnd);
    assembler.j('ae', end);
    emitSlot(assembler, environment);
    assembler.mov(rdx, at(r10, slot.state));
    assembler.test(rdx, rdx);
    assembler.j('s', next); // quarantined, or being closed
    assembler.test(low32(rdx), 1);
    assembler.j('e', next);
    assembler.mov(state, rdx);
    assembler.movzx16(rcx, at(r10, slot.openedCall));
    assembler.sub(low32(rcx), MAY_BE_INHERITABLE);
    assembler.j('le', next); // not inheritable, or there before recording began
    assembler.mov(low32(rcx), teb(tebField.threadId));
    assembler.cmp(low32(rcx), at(r10, slot.openedThread));
    assembler.j('e', certain);
    assembler.mov(rcx, at(r10, slot.openedTime));
    assembler.cmp(rcx, began);
    assembler.j('ae', next);
    assembler.bind(certain);
    for (const handle of standardHandles) {
      assembler.cmp(rax, handle);
      assembler.j('e', next);
    }

    assembler.sub(questionsLeft, 1);
    assembler.j('s', cut);
    assembler.mov(rcx, rax);
    assembler.shl(rcx, 2);
    assembler.mov(low32(rdx), ObjectHandleFlagInformation);
    assembler.lea(r8, flags);
    assembler.mov(low32(r9), 2); // sizeof OBJECT_HANDLE_FLAG_INFORMATION
    assembler.movImmediate64(at(rsp, 0x20), 0);
    assembler.call(environment.native('NtQueryObject'));
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', next);
    assembler.movzx8(rax, flags); // BOOLEAN Inherit
    assembler.test(low32(rax), low32(rax));
    assembler.j('e', next);
    assembler.mov(rax, slotIndex);
    emitSlot(assembler, environment);
    assembler.mov(rdx, at(r10, slot.state));
    assembler.cmp(rdx, state);
    assembler.j('ne', next); // closed meanwhile, and perhaps opened as something else
    assembler.mov(r10, environment.words.ledger);
    assembler.mov(low32(rdx), at(r10, header.inheritanceChanges));
    assembler.cmp(low32(rdx), changes);
    assembler.j('ne', cut);
    assembler.mov(low32(rdx), at(r10, header.inheritedRecords));
    assembler.cmp(low32(rdx), INHERITED_COUNT);
    assembler.j('ae', cut);

    assembler.xor(low32(r9), low32(r9));
    assembler.mov(rdx, namedHandles);
    assembler.mov(r11, namedCount);
    assembler.bind(compare);
    assembler.sub(r11, 1);
    assembler.j('s', unnamed);
    assembler.mov(rcx, indexed(rdx, r11, 8));
    assembler.shr(rcx, 2);
    assembler.cmp(rcx, rax);
    assembler.j('ne', compare);
    assembler.mov(low32(r9), INHERITED_BY_NAME);
    assembler.bind(unnamed);
    assembler.mov(rcx, rax);
    assembler.shl(rcx, 2);
    assembler.mov(rdx, row);
    assembler.or(low32(rdx), MISUSE_INHERITED << 16);
    assembler.mov(r8, returnAddress);
    assembler.call(environment.recordMisuse);
    assembler.test(low32(rax), low32(rax));
    assembler.j('ne', next);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockInc32(at(rax, header.inheritedRecords));
    assembler.jmp(next);

    assembler.bind(end);
    assembler.mov(rax, environment.words.ledger);
    assembler.mov(rdx, at(rax, header.slotsUsed));
    assembler.cmp(rdx, SLOT_COUNT_MAX);
    assembler.j('be', done);
    assembler.bind(cut);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockInc32(at(rax, header.inheritedCut));
    assembler.bind(done);
    epilogue();
  });
}

/** Adds to the row in edx that what was opened may be inheritable, by the OBJECT_ATTRIBUTES that `attributes` points to. Clobbers rax. */
export function emitMayBeInheritable({ assembler, row }: Pick<HookBody, 'assembler' | 'row'>, attributes: Memory): void {
  if (row.attributes === undefined) return assembler.or(low32(rdx), MAY_BE_INHERITABLE);
  const none = assembler.label('no attributes');
  assembler.mov(rax, attributes);
  assembler.test(rax, rax);
  assembler.j('e', none);
  assembler.mov(low32(rax), at(rax, ATTRIBUTES_OFFSET));
  assembler.and(low32(rax), OBJ_INHERIT);
  assembler.shl(low32(rax), Math.log2(MAY_BE_INHERITABLE / OBJ_INHERIT));
  assembler.or(low32(rdx), low32(rax));
  assembler.bind(none);
}

/** Before a change of whether the handle is inheritable: counts it, and notes that the handle may be. Clobbers rax, r10, r11. */
export function emitNoteChange({ assembler, environment }: Pick<Hook, 'assembler' | 'environment'>, handle: Memory): void {
  const [again, none] = assembler.labels('again', 'no slot');
  assembler.mov(rax, environment.words.ledger);
  assembler.lockInc32(at(rax, header.inheritanceChanges));
  assembler.mov(r10, handle);
  emitSlotAddress(assembler, r10, none, environment);
  assembler.mov(low32(rax), at(r10, slot.openedCall));
  assembler.bind(again);
  assembler.mov(low32(r11), low32(rax));
  assembler.or(low32(r11), MAY_BE_INHERITABLE);
  assembler.lockCmpxchg(at(r10, slot.openedCall), low32(r11));
  assembler.j('ne', again);
  assembler.bind(none);
}

/** An argument of NtCreateUserProcess; r8 is where its return address lies. */
function argument(index: number): Memory {
  return at(r8, 8 + index * 8);
}

/** `r10 = the slot whose index is in rax`. */
function emitSlot(assembler: Assembler, { words }: Environment): void {
  assembler.mov(r10, rax);
  assembler.shl(r10, Math.log2(SLOT_SIZE_BYTES));
  assembler.add(r10, words.slots);
}

/** Jumps to `found` where the PS_ATTRIBUTE_LIST says that not everything inheritable is inherited, or is too long to be one. Keeps r8. */
function emitLookForList(assembler: Assembler, found: Label): void {
  const [next, none] = assembler.labels('next attribute', 'no list');
  assembler.mov(rax, argument(10)); // PPS_ATTRIBUTE_LIST AttributeList
  assembler.test(rax, rax);
  assembler.j('e', none);
  assembler.mov(rcx, at(rax)); // SIZE_T TotalLength, these 8 bytes included
  assembler.sub(rcx, 8);
  assembler.shr(rcx, Math.log2(ATTRIBUTE_SIZE_BYTES));
  assembler.cmp(rcx, ATTRIBUTE_COUNT_MAX);
  assembler.j('a', found);
  assembler.add(rax, 8);
  assembler.bind(next);
  assembler.sub(rcx, 1);
  assembler.j('s', none);
  assembler.mov(rdx, at(rax)); // ULONG_PTR Attribute
  assembler.add(rax, ATTRIBUTE_SIZE_BYTES);
  assembler.cmp(rdx, PS_ATTRIBUTE_HANDLE_LIST);
  assembler.j('e', found);
  assembler.cmp(rdx, PS_ATTRIBUTE_PARENT_PROCESS);
  assembler.j('ne', next);
  assembler.jmp(found);
  assembler.bind(none);
}

/**
 * Reads which handles the child is told of: its standard ones, and those in STARTUPINFO's lpReserved2, by which C runtimes and libuv pass on
 * file descriptors: {int count, BYTE flags[count], HANDLE handles[count]}. What has another form there names none.
 */
function emitReadParameters(assembler: Assembler): void {
  const none = assembler.label('none named');
  assembler.movImmediate64(namedCount, 0);
  for (const handle of standardHandles) assembler.movImmediate64(handle, 0);
  assembler.mov(rax, argument(8)); // PRTL_USER_PROCESS_PARAMETERS ProcessParameters
  assembler.test(rax, rax);
  assembler.j('e', none);
  standardHandles.forEach((handle, index) => {
    assembler.mov(rcx, at(rax, parameters.standardHandles + index * 8));
    assembler.shr(rcx, 2);
    assembler.mov(handle, rcx);
  });
  assembler.mov(low32(rcx), at(rax, parameters.flags));
  assembler.test(low32(rcx), RTL_USER_PROC_PARAMS_NORMALIZED); // else there are offsets where pointers should be
  assembler.j('e', none);
  assembler.movzx16(rcx, at(rax, parameters.runtimeDataLength));
  assembler.mov(rdx, at(rax, parameters.runtimeDataBuffer));
  // Of the block that the kernel has read whole, and of nothing else.
  assembler.cmp(rdx, rax);
  assembler.j('b', none);
  assembler.mov(low32(r9), at(rax, parameters.maximumLength));
  assembler.add(r9, rax);
  assembler.lea(r10, indexed(rdx, rcx, 1));
  assembler.cmp(r10, r9);
  assembler.j('a', none);
  assembler.cmp(rcx, 4);
  assembler.j('b', none);
  assembler.mov(low32(r11), at(rdx));
  assembler.lea(r9, indexed(r11, r11, 8, 4));
  assembler.cmp(r9, rcx);
  assembler.j('a', none);
  assembler.lea(rdx, indexed(rdx, r11, 1, 4));
  assembler.mov(namedHandles, rdx);
  assembler.mov(namedCount, r11);
  assembler.bind(none);
}
