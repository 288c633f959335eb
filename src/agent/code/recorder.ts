import {
  header, RECENT_OPEN_COUNT, SLOT_SIZE_BYTES, slot, stackNode, STATE_FLAG_BITS, VICTIM,
} from '../ledger-layout.ts'; // prettier-ignore
import type { LinkedEnvironment } from '../linkage.ts';
import {
  type Assembler, at, indexed, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, type Register, rsp, teb,
} from './assembler.ts'; // prettier-ignore
import { SYSTEM_TIME, tebField } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/** The routines of the quarantine, which quarantine.ts explains. */
export interface Quarantine {
  /** `u32 isQuarantined(rax = HANDLE value)`: 1 if the value must be refused. Keeps the argument registers. */
  readonly isQuarantined: Label;
  /** `void awaitClose(rax = HANDLE value)`: until another thread's close of the value is recorded. Keeps the argument registers. */
  readonly awaitClose: Label;
  /** `void enterQuarantine(HANDLE value)`: after its close was recorded. */
  readonly enterQuarantine: Label;
  /** `HANDLE moveOutOfQuarantine(HANDLE value)`: the value by which the program may know the object that it has just opened. */
  readonly moveOutOfQuarantine: Label;
}

/**
 * The routines that write the ledger. They are called by hooks, keep to volatile registers (the stack walk needs the
 * others as the target left them), and use no lock: whoever was given a handle value by the kernel is the only one who
 * may open its slot, and a close takes effect only if the slot still holds the generation that the closer saw before
 * its call.
 */
export interface RecorderEnvironment extends LinkedEnvironment {
  readonly captureStack: Label;
  /** Absent when closed values may be used again at once. */
  readonly quarantine?: Quarantine;
}

/**
 * Emits code that turns the handle value in `value` into the address of its slot; jumps to `none` for pseudo handles
 * and for values beyond the ledger. The two low bits of a handle value are the application's own (tag bits).
 */
export function emitSlotAddress(
  assembler: Assembler,
  value: Register,
  none: Label,
  { words }: Pick<LinkedEnvironment, 'words'>,
): void {
  assembler.shr(value, 2);
  assembler.cmp(value, words.slotCount);
  assembler.j('ae', none);
  assembler.shl(value, Math.log2(SLOT_SIZE_BYTES));
  assembler.add(value, words.slots);
}

/** Counts an event about a value that has no slot, unless it is a pseudo handle. Clobbers rax. */
function emitBeyondCapacity(assembler: Assembler, valueShifted: Register, environment: RecorderEnvironment): void {
  const pseudo = assembler.label('pseudo');
  assembler.mov(rax, valueShifted);
  assembler.shr(rax, 31); // a negative value, shifted right by 2, has bits above 31; kernel handles fit in 32 bits
  assembler.j('ne', pseudo);
  assembler.mov(rax, environment.words.ledger);
  assembler.lockInc32(at(rax, header.beyondCapacity));
  assembler.bind(pseudo);
}

/** Packs a stack id (eax) and the low half of a generation (from `state`) into rax. Clobbers `scratch`. */
function emitPackStack(assembler: Assembler, state: Register, scratch: Register): void {
  assembler.mov(scratch, state);
  assembler.shr(scratch, 1);
  assembler.shl(scratch, 32);
  assembler.mov(low32(rax), low32(rax));
  assembler.or(rax, scratch);
}

const recordFrame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const save = [at(rsp, 0x20), at(rsp, 0x28), at(rsp, 0x30), at(rsp, 0x38), at(rsp, 0x40)] as const;

/** Emits `void recordOpen(HANDLE value, u32 row | type << 16, u64* returnAddress)`. */
export function emitRecordOpen(assembler: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(assembler, begin, recordFrame, (epilogue) => {
    const [beyond, raise, inUse] = assembler.labels('beyond', 'raise', 'inUse');
    assembler.mov(r10, rcx);
    assembler.shr(r10, 2);
    assembler.add(r10, 1);
    emitSlotAddress(assembler, rcx, beyond, environment);
    assembler.mov(save[0], rcx);
    assembler.mov(save[1], rdx);
    assembler.mov(r9, environment.words.ledger);
    assembler.bind(raise);
    assembler.mov(rax, at(r9, header.slotsUsed));
    assembler.cmp(r10, rax);
    assembler.j('be', inUse);
    assembler.lockCmpxchg(at(r9, header.slotsUsed), r10);
    assembler.j('ne', raise);
    assembler.bind(inUse);
    assembler.mov(rcx, r8);
    assembler.call(environment.captureStack);
    if (environment.quarantine !== undefined) emitNoteRecentOpen(assembler, save[1], environment);
    assembler.mov(rcx, save[0]);
    assembler.mov(r8, at(rcx, slot.state));
    if (environment.quarantine !== undefined) {
      const notQuarantined = assembler.label('notQuarantined');
      assembler.test(r8, r8);
      assembler.j('ns', notQuarantined);
      assembler.mov(r9, environment.words.ledger);
      assembler.lockInc32(at(r9, header.quarantineLost));
      assembler.bind(notQuarantined);
      assembler.shl(r8, STATE_FLAG_BITS);
      assembler.shr(r8, STATE_FLAG_BITS);
    }
    assembler.movImmediate32(at(rcx, slot.wrapper), 0);
    emitWriteOpening(assembler, save[1]);
    epilogue();
    assembler.bind(beyond);
    emitBeyondCapacity(assembler, rcx, environment);
    epilogue();
  });
}

/** Writes an opening into the slot at rcx, whose state so far is in r8; its stack's id is in eax. Clobbers rdx. */
export function emitWriteOpening(assembler: Assembler, rowAndType: Memory): void {
  assembler.or(r8, 1);
  assembler.add(r8, 2); // the next generation, open
  emitPackStack(assembler, r8, rdx);
  assembler.mov(at(rcx, slot.openedStack), rax);
  assembler.mov(rax, SYSTEM_TIME);
  assembler.mov(at(rcx, slot.openedTime), rax);
  assembler.mov(low32(rax), teb(tebField.threadId));
  assembler.mov(at(rcx, slot.openedThread), low32(rax));
  assembler.mov(rax, rowAndType);
  assembler.mov(at(rcx, slot.openedCall), low32(rax)); // the type is the upper half
  assembler.mov(at(rcx, slot.state), r8); // last: now it is true
}

/** Emits `void recordClose(HANDLE value, u64 state before the call, u64* returnAddress, u32 row)`. */
export function emitRecordClose(assembler: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(assembler, begin, recordFrame, (epilogue) => {
    const [beyond, unseen, exchange, closed, done] = assembler.labels('beyond', 'unseen', 'exchange', 'closed', 'done');
    emitSlotAddress(assembler, rcx, beyond, environment);
    assembler.mov(rax, rdx);
    assembler.mov(r10, rdx);
    if (environment.quarantine !== undefined) {
      const unclaimed = assembler.label('unclaimed');
      assembler.test(rdx, rdx);
      assembler.j('ns', unclaimed);
      // The closer has claimed the slot: nobody else changes more of it than flags.
      assembler.sub(r10, 1);
      assembler.mov(rax, -1n);
      assembler.lockXadd(at(rcx, slot.state), rax);
      assembler.jmp(closed);
      assembler.bind(unclaimed);
    }
    assembler.test(low32(r10), 1);
    assembler.j('e', unseen);
    assembler.sub(r10, 1); // the same generation, closed
    assembler.jmp(exchange);
    assembler.bind(unseen); // opened where the recorder could not see it: a generation of its own
    assembler.add(r10, 2);
    assembler.bind(exchange);
    assembler.lockCmpxchg(at(rcx, slot.state), r10);
    assembler.j('ne', done); // the value belongs to somebody else already
    assembler.bind(closed);
    emitWriteClosing(assembler, r10, save, environment);
    // The stack that opened it learns where such handles are closed, but by what a runtime closes at the exit nothing is learnt.
    // Reading first keeps the line shared.
    assembler.mov(rax, environment.words.ledger);
    assembler.cmpImmediate32(at(rax, header.exiting), 0);
    assembler.j('ne', done);
    assembler.shr(r8, 1);
    assembler.cmp(low32(r8), at(rcx, slot.openedGeneration));
    assembler.j('ne', done);
    assembler.mov(low32(rax), at(rcx, slot.openedStack));
    assembler.test(low32(rax), low32(rax));
    assembler.j('e', done);
    assembler.mov(rdx, environment.words.stackPool);
    assembler.lea(rdx, indexed(rdx, rax, 8));
    assembler.cmp(low32(r10), at(rdx, stackNode.closedBy));
    assembler.j('e', done);
    assembler.mov(at(rdx, stackNode.closedBy), low32(r10));
    assembler.bind(done);
    epilogue();
    assembler.bind(beyond);
    emitBeyondCapacity(assembler, rcx, environment);
    epilogue();
  });
}

/**
 * Writes a close, made at the return address in r8 by the row in r9, into the slot at rcx, whose state is then `state`. Leaves the slot in rcx,
 * its state in r8, the close's stack in r10. Clobbers the other volatile registers, and three places of the frame.
 */
export function emitWriteClosing(
  assembler: Assembler,
  state: Register,
  [slotPlace, statePlace, rowPlace]: readonly [Memory, Memory, Memory, ...Memory[]],
  environment: Pick<RecorderEnvironment, 'words' | 'captureStack'>,
): void {
  assembler.mov(slotPlace, rcx);
  assembler.mov(statePlace, state);
  assembler.mov(rowPlace, r9);
  assembler.mov(rcx, r8);
  assembler.call(environment.captureStack);
  assembler.mov(rcx, slotPlace);
  assembler.mov(r8, statePlace);
  assembler.mov(r9, rowPlace);
  assembler.mov(low32(r10), low32(rax));
  assembler.mov(r11, SYSTEM_TIME);
  assembler.mov(at(rcx, slot.closedTime), r11);
  assembler.mov(low32(r11), teb(tebField.threadId));
  assembler.mov(at(rcx, slot.closedThread), low32(r11));
  assembler.mov(rax, environment.words.ledger);
  assembler.mov(low32(rax), at(rax, header.exiting));
  assembler.shl(low32(rax), 16);
  assembler.or(low32(rax), low32(r9));
  assembler.mov(at(rcx, slot.closedCall), low32(rax)); // closedWhileExiting is the upper half
  assembler.mov(low32(rax), low32(r10));
  emitPackStack(assembler, r8, rdx);
  assembler.mov(at(rcx, slot.closedStack), rax);
}

/** Notes the open of the stack in rax, of the row and type in `rowAndType`, in the ring of recent opens. Keeps rax. Clobbers rdx, r9, r11. */
function emitNoteRecentOpen(assembler: Assembler, rowAndType: Memory, { words }: LinkedEnvironment): void {
  assembler.mov(r11, words.ledger);
  assembler.mov(low32(rdx), 1);
  assembler.lockXadd(at(r11, header.opens), rdx);
  assembler.and(low32(rdx), RECENT_OPEN_COUNT - 1);
  assembler.mov(r11, words.recentOpens);
  assembler.lea(r11, indexed(r11, rdx, 8));
  assembler.mov(r9, rowAndType);
  assembler.shr(r9, 16);
  assembler.or(low32(r9), VICTIM | 0);
  assembler.shl(r9, 32);
  assembler.mov(low32(rdx), low32(rax));
  assembler.or(r9, rdx);
  assembler.mov(at(r11), r9);
}

/**
 * Emits `HANDLE chooseHandle(HANDLE* handles, u32 count)`: of the handles that a refused call was given, the one that
 * the ledger does not know as open; the first if it knows them all. A leaf function.
 */
export function emitChooseHandle(assembler: Assembler, begin: Label, environment: RecorderEnvironment): void {
  const [next, skip, chosen, first] = assembler.labels('next', 'skip', 'chosen', 'first');
  assembler.align(16);
  assembler.bind(begin);
  assembler.xor(low32(r8), low32(r8));
  assembler.bind(next);
  assembler.cmp(low32(r8), low32(rdx));
  assembler.j('ae', first);
  assembler.mov(r9, indexed(rcx, r8, 8));
  assembler.test(r9, r9); // an optional handle that was not given
  assembler.j('e', skip);
  assembler.mov(r10, r9);
  emitSlotAddress(assembler, r10, chosen, environment);
  assembler.mov(rax, at(r10, slot.state));
  assembler.test(low32(rax), 1);
  assembler.j('e', chosen);
  assembler.bind(skip);
  assembler.add(low32(r8), 1);
  assembler.jmp(next);
  assembler.bind(chosen);
  assembler.mov(rax, r9);
  assembler.ret();
  assembler.bind(first);
  assembler.mov(rax, at(rcx));
  assembler.ret();
}

/** Results of `isThisProcess`. */
export const NOT_THIS_PROCESS = 0;
export const THIS_PROCESS = 1;
export const PROCESS_UNKNOWN = 2;

const isThisProcessFrame: FrameShape = { pushes: [], sizeBytes: 0x68 };
const STATUS_INVALID_HANDLE_SIGNED = 0xc000_0008 | 0;
const STATUS_NOT_SAME_OBJECT_SIGNED = 0xc000_01ac | 0;

/**
 * Emits `u32 isThisProcess(HANDLE process)`. NtCompareObjects needs no access right, but is missing before Windows 10; a
 * handle that may not be asked otherwise counts as unresolved.
 */
export function emitIsThisProcess(
  assembler: Assembler,
  begin: Label,
  environment: LinkedEnvironment,
): FramedFunction {
  return framedFunction(assembler, begin, isThisProcessFrame, (epilogue) => {
    const [yes, no, refused, invalid, compare] = assembler.labels('yes', 'no', 'refused', 'invalid', 'compare');
    assembler.cmp(rcx, -1);
    assembler.j('e', yes);
    assembler.test(rcx, rcx);
    assembler.j('e', no);
    assembler.mov(rax, environment.native('NtCompareObjects'));
    assembler.test(rax, rax);
    assembler.j('ne', compare);
    assembler.xor(low32(rdx), low32(rdx)); // ProcessBasicInformation
    assembler.lea(r8, at(rsp, 0x30));
    assembler.mov(low32(r9), 0x30);
    assembler.movImmediate64(at(rsp, 0x20), 0);
    assembler.call(environment.native('NtQueryInformationProcess'));
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', refused);
    assembler.mov(rax, at(rsp, 0x30 + 0x20)); // HANDLE UniqueProcessId
    assembler.cmp(rax, teb(tebField.processId));
    assembler.j('e', yes);
    assembler.jmp(no);
    assembler.bind(compare);
    assembler.mov(rdx, -1n);
    assembler.call(rax);
    assembler.test(low32(rax), low32(rax));
    assembler.j('e', yes);
    assembler.cmp(low32(rax), STATUS_NOT_SAME_OBJECT_SIGNED);
    assembler.j('ne', refused);
    assembler.jmp(no);
    assembler.bind(yes);
    assembler.mov(low32(rax), THIS_PROCESS);
    epilogue();
    assembler.bind(no);
    assembler.xor(low32(rax), low32(rax));
    epilogue();
    assembler.bind(refused);
    assembler.cmp(low32(rax), STATUS_INVALID_HANDLE_SIGNED);
    assembler.j('e', invalid);
    assembler.mov(rax, environment.words.ledger);
    assembler.lockInc32(at(rax, header.unresolvedDuplicates));
    assembler.bind(invalid);
    assembler.mov(low32(rax), PROCESS_UNKNOWN);
    epilogue();
  });
}
