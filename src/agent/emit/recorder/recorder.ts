import {
  header,
  RECENT_OPEN_COUNT,
  slot,
  SLOT_SIZE_BYTES,
  stackNode,
  STATE_FLAG_BITS,
  VICTIM,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import {
  eax,
  edx,
  r10,
  r10d,
  r11,
  r11d,
  r8,
  r8d,
  r9,
  r9d,
  rax,
  rcx,
  rdx,
  type Register,
  rsp,
} from '../../asm/registers.ts';
import { SYSTEM_TIME, tebField } from '../walk/stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../walk/unwind-info.ts';
import type { LinkedEnvironment } from '../linkage.ts';

/** The routines of the quarantine, which quarantine.ts explains. */
export interface Quarantine {
  /** `u32 isQuarantined(rax = HANDLE value)`: 1 if the value must be refused. Keeps the argument registers. */
  readonly isQuarantined: Label;
  /**
   * `void awaitClose(rax = HANDLE value)`: until another thread's close of the value is recorded. Keeps the argument
   * registers.
   */
  readonly awaitClose: Label;
  /** `void enterQuarantine(HANDLE value)`: after its close was recorded. */
  readonly enterQuarantine: Label;
  /**
   * `HANDLE moveOutOfQuarantine(HANDLE value)`: the value by which the program may know the object that it has just
   * opened.
   */
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
  asm: Assembler,
  value: Register,
  none: Label,
  { linkSlots }: Pick<LinkedEnvironment, 'linkSlots'>,
): void {
  asm.shr(value, 2);
  asm.cmp(value, linkSlots.slotCount);
  asm.j('ae', none);
  asm.shl(value, Math.log2(SLOT_SIZE_BYTES));
  asm.add(value, linkSlots.slots);
}

/** Counts an event about a value that has no slot, unless it is a pseudo handle. Clobbers rax. */
function emitBeyondCapacity(asm: Assembler, valueShifted: Register, environment: RecorderEnvironment): void {
  const pseudo = asm.label('pseudo');
  asm.mov(rax, valueShifted);
  asm.shr(rax, 31); // a negative value, shifted right by 2, has bits above 31; kernel handles fit in 32 bits
  asm.j('ne', pseudo);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.beyondCapacity));
  asm.bind(pseudo);
}

/** Packs a stack id (eax) and the low half of a generation (from `state`) into rax. Clobbers `scratch`. */
function emitPackStack(asm: Assembler, state: Register, scratch: Register): void {
  asm.mov(scratch, state);
  asm.shr(scratch, 1);
  asm.shl(scratch, 32);
  asm.mov(eax, eax);
  asm.or(rax, scratch);
}

const recordFrame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const save = [at(rsp, 0x20), at(rsp, 0x28), at(rsp, 0x30), at(rsp, 0x38), at(rsp, 0x40)] as const;

/** Emits `void recordOpen(HANDLE value, u32 row | type << 16, u64* returnAddress)`. */
export function emitRecordOpen(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, recordFrame, (epilogue) => {
    const [beyond, raise, inUse] = asm.labels('beyond', 'raise', 'inUse');
    asm.mov(r10, rcx);
    asm.shr(r10, 2);
    asm.add(r10, 1);
    emitSlotAddress(asm, rcx, beyond, environment);
    asm.mov(save[0], rcx);
    asm.mov(save[1], rdx);
    asm.mov(r9, environment.linkSlots.ledger);
    asm.bind(raise);
    asm.mov(rax, at(r9, header.slotsUsed));
    asm.cmp(r10, rax);
    asm.j('be', inUse);
    asm.lockCmpxchg(at(r9, header.slotsUsed), r10);
    asm.j('ne', raise);
    asm.bind(inUse);
    asm.mov(rcx, r8);
    asm.call(environment.captureStack);
    if (environment.quarantine !== undefined) emitNoteRecentOpen(asm, save[1], environment);
    asm.mov(rcx, save[0]);
    asm.mov(r8, at(rcx, slot.state));
    if (environment.quarantine !== undefined) {
      const notQuarantined = asm.label('notQuarantined');
      asm.test(r8, r8);
      asm.j('ns', notQuarantined);
      asm.mov(r9, environment.linkSlots.ledger);
      asm.lockInc32(at(r9, header.quarantineLost));
      asm.bind(notQuarantined);
      asm.shl(r8, STATE_FLAG_BITS);
      asm.shr(r8, STATE_FLAG_BITS);
    }
    asm.movImmediate32(at(rcx, slot.runtimeObject), 0);
    emitWriteOpening(asm, save[1]);
    epilogue();
    asm.bind(beyond);
    emitBeyondCapacity(asm, rcx, environment);
    epilogue();
  });
}

/** Writes an opening into the slot at rcx, whose state so far is in r8; its stack's id is in eax. Clobbers rdx. */
export function emitWriteOpening(asm: Assembler, rowAndType: Memory): void {
  asm.or(r8, 1);
  asm.add(r8, 2); // the next generation, open
  emitPackStack(asm, r8, rdx);
  asm.mov(at(rcx, slot.openedStack), rax);
  asm.mov(rax, SYSTEM_TIME);
  asm.mov(at(rcx, slot.openedTime), rax);
  asm.mov(eax, teb(tebField.threadId));
  asm.mov(at(rcx, slot.openedThread), eax);
  asm.mov(rax, rowAndType);
  asm.mov(at(rcx, slot.openedCall), eax); // the type is the upper half
  asm.mov(at(rcx, slot.state), r8); // last: now it is true
}

/** Emits `void recordClose(HANDLE value, u64 state before the call, u64* returnAddress, u32 row)`. */
export function emitRecordClose(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, recordFrame, (epilogue) => {
    const [beyond, unseen, exchange, closed, done] = asm.labels('beyond', 'unseen', 'exchange', 'closed', 'done');
    emitSlotAddress(asm, rcx, beyond, environment);
    asm.mov(rax, rdx);
    asm.mov(r10, rdx);
    if (environment.quarantine !== undefined) {
      const unclaimed = asm.label('unclaimed');
      asm.test(rdx, rdx);
      asm.j('ns', unclaimed);
      // The closer has claimed the slot: nobody else changes more of it than flags.
      asm.sub(r10, 1);
      asm.mov(rax, -1n);
      asm.lockXadd(at(rcx, slot.state), rax);
      asm.jmp(closed);
      asm.bind(unclaimed);
    }
    asm.test(r10d, 1);
    asm.j('e', unseen);
    asm.sub(r10, 1); // the same generation, closed
    asm.jmp(exchange);
    asm.bind(unseen); // opened where the recorder could not see it: a generation of its own
    asm.add(r10, 2);
    asm.bind(exchange);
    asm.lockCmpxchg(at(rcx, slot.state), r10);
    asm.j('ne', done); // the value belongs to somebody else already
    asm.bind(closed);
    emitWriteClosing(asm, r10, save, environment);
    // The stack that opened it learns where such handles are closed, but by what a runtime closes at the exit nothing
    // is learnt. Reading first keeps the line shared.
    asm.mov(rax, environment.linkSlots.ledger);
    asm.cmpImmediate32(at(rax, header.exiting), 0);
    asm.j('ne', done);
    asm.shr(r8, 1);
    asm.cmp(r8d, at(rcx, slot.openedGeneration));
    asm.j('ne', done);
    asm.mov(eax, at(rcx, slot.openedStack));
    asm.test(eax, eax);
    asm.j('e', done);
    asm.mov(rdx, environment.linkSlots.stackPool);
    asm.lea(rdx, indexed(rdx, rax, 8));
    asm.cmp(r10d, at(rdx, stackNode.closedBy));
    asm.j('e', done);
    asm.mov(at(rdx, stackNode.closedBy), r10d);
    asm.bind(done);
    epilogue();
    asm.bind(beyond);
    emitBeyondCapacity(asm, rcx, environment);
    epilogue();
  });
}

/**
 * Writes a close, made at the return address in r8 by the row in r9, into the slot at rcx, whose state is then `state`.
 * Leaves the slot in rcx, its state in r8, the close's stack in r10. Clobbers the other volatile registers, and three
 * places of the frame.
 */
export function emitWriteClosing(
  asm: Assembler,
  state: Register,
  [slotPlace, statePlace, rowPlace]: readonly [Memory, Memory, Memory, ...Memory[]],
  environment: Pick<RecorderEnvironment, 'linkSlots' | 'captureStack'>,
): void {
  asm.mov(slotPlace, rcx);
  asm.mov(statePlace, state);
  asm.mov(rowPlace, r9);
  asm.mov(rcx, r8);
  asm.call(environment.captureStack);
  asm.mov(rcx, slotPlace);
  asm.mov(r8, statePlace);
  asm.mov(r9, rowPlace);
  asm.mov(r10d, eax);
  asm.mov(r11, SYSTEM_TIME);
  asm.mov(at(rcx, slot.closedTime), r11);
  asm.mov(r11d, teb(tebField.threadId));
  asm.mov(at(rcx, slot.closedThread), r11d);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.mov(eax, at(rax, header.exiting));
  asm.shl(eax, 16);
  asm.or(eax, r9d);
  asm.mov(at(rcx, slot.closedCall), eax); // closedWhileExiting is the upper half
  asm.mov(eax, r10d);
  emitPackStack(asm, r8, rdx);
  asm.mov(at(rcx, slot.closedStack), rax);
}

/**
 * Notes the open of the stack in rax, of the row and type in `rowAndType`, in the ring of recent opens. Keeps rax.
 * Clobbers rdx, r9, r11.
 */
function emitNoteRecentOpen(asm: Assembler, rowAndType: Memory, { linkSlots }: LinkedEnvironment): void {
  asm.mov(r11, linkSlots.ledger);
  asm.mov(edx, 1);
  asm.lockXadd(at(r11, header.opens), rdx);
  asm.and(edx, RECENT_OPEN_COUNT - 1);
  asm.mov(r11, linkSlots.recentOpens);
  asm.lea(r11, indexed(r11, rdx, 8));
  asm.mov(r9, rowAndType);
  asm.shr(r9, 16);
  asm.or(r9d, VICTIM | 0);
  asm.shl(r9, 32);
  asm.mov(edx, eax);
  asm.or(r9, rdx);
  asm.mov(at(r11), r9);
}

/**
 * Emits `HANDLE findUnknownHandle(HANDLE* handles, u32 count)`: of the handles that a refused call was given, the one that
 * the ledger does not know as open; the first if it knows them all. A leaf function.
 */
export function emitFindUnknownHandle(asm: Assembler, begin: Label, environment: RecorderEnvironment): void {
  const [next, skip, chosen, first] = asm.labels('next', 'skip', 'chosen', 'first');
  asm.align(16);
  asm.bind(begin);
  asm.xor(r8d, r8d);
  asm.bind(next);
  asm.cmp(r8d, edx);
  asm.j('ae', first);
  asm.mov(r9, indexed(rcx, r8, 8));
  asm.test(r9, r9); // an optional handle that was not given
  asm.j('e', skip);
  asm.mov(r10, r9);
  emitSlotAddress(asm, r10, chosen, environment);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('e', chosen);
  asm.bind(skip);
  asm.add(r8d, 1);
  asm.jmp(next);
  asm.bind(chosen);
  asm.mov(rax, r9);
  asm.ret();
  asm.bind(first);
  asm.mov(rax, at(rcx));
  asm.ret();
}

/** Results of `isThisProcess`, which are 0 for another process. */
export const THIS_PROCESS = 1;
export const PROCESS_UNKNOWN = 2;

const isThisProcessFrame: FrameShape = { pushes: [], sizeBytes: 0x68 };
const STATUS_INVALID_HANDLE_SIGNED = 0xc000_0008 | 0;
const STATUS_NOT_SAME_OBJECT_SIGNED = 0xc000_01ac | 0;

/**
 * Emits `u32 isThisProcess(HANDLE process)`. NtCompareObjects needs no access right, but is missing before Windows 10;
 * a handle that may not be asked otherwise counts as unresolved.
 */
export function emitIsThisProcess(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, isThisProcessFrame, (epilogue) => {
    const [yes, no, refused, invalid, compare] = asm.labels('yes', 'no', 'refused', 'invalid', 'compare');
    asm.cmp(rcx, -1);
    asm.j('e', yes);
    asm.test(rcx, rcx);
    asm.j('e', no);
    asm.mov(rax, environment.ntdllImport('NtCompareObjects'));
    asm.test(rax, rax);
    asm.j('ne', compare);
    asm.xor(edx, edx); // ProcessBasicInformation
    asm.lea(r8, at(rsp, 0x30));
    asm.mov(r9d, 0x30);
    asm.movImmediate64(at(rsp, 0x20), 0);
    asm.call(environment.ntdllImport('NtQueryInformationProcess'));
    asm.test(eax, eax);
    asm.j('s', refused);
    asm.mov(rax, at(rsp, 0x30 + 0x20)); // HANDLE UniqueProcessId
    asm.cmp(rax, teb(tebField.processId));
    asm.j('e', yes);
    asm.jmp(no);
    asm.bind(compare);
    asm.mov(rdx, -1n);
    asm.call(rax);
    asm.test(eax, eax);
    asm.j('e', yes);
    asm.cmp(eax, STATUS_NOT_SAME_OBJECT_SIGNED);
    asm.j('ne', refused);
    asm.jmp(no);
    asm.bind(yes);
    asm.mov(eax, THIS_PROCESS);
    epilogue();
    asm.bind(no);
    asm.xor(eax, eax);
    epilogue();
    asm.bind(refused);
    asm.cmp(eax, STATUS_INVALID_HANDLE_SIGNED);
    asm.j('e', invalid);
    asm.mov(rax, environment.linkSlots.ledger);
    asm.lockInc32(at(rax, header.unresolvedDuplicates));
    asm.bind(invalid);
    asm.mov(eax, PROCESS_UNKNOWN);
    epilogue();
  });
}
