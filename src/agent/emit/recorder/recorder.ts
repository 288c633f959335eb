import { header, RECENT_OPEN_COUNT, slot, stackNode, STATE_FLAG_BITS, SWEPT, VICTIM } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory, teb } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r11d, r8, r8d, r9, r9d, rax, rcx, rdx, type Register } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramePlaces, framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { emitReadTime } from '../abi/system-time.ts';
import { tebField } from '../abi/teb.ts';
import { emitKeepLife } from './earlier-lives.ts';
import { emitNoteOpening } from './note-stop.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitSlotOfIndex } from './slot-address.ts';

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
const opening = framePlaces(recordFrame, 0x20, 'slot', 'rowAndType');
const closing = framePlaces(recordFrame, 0x20, 'slot', 'state', 'row');
/** The arguments of a call about a value whose slot has no memory yet. */
const unslotted = framePlaces(recordFrame, 0x20, 'index', 'second', 'third', 'fourth');

/**
 * Gives memory to the slot of index rcx, and jumps to `retry` with the arguments as they are. Where that is not
 * possible, the event is counted.
 */
function emitGrow(asm: Assembler, retry: Label, environment: RecorderEnvironment): void {
  const { index, second, third, fourth } = unslotted;
  asm.mov(index, rcx);
  asm.mov(second, rdx);
  asm.mov(third, r8);
  asm.mov(fourth, r9);
  asm.call(environment.growSlots);
  asm.mov(rcx, index);
  asm.mov(rdx, second);
  asm.mov(r8, third);
  asm.mov(r9, fourth);
  asm.test(eax, eax);
  asm.j('ne', retry);
  emitBeyondCapacity(asm, rcx, environment);
}

/** Emits `void recordOpen(HANDLE value, u32 row | type << 16, u64* returnAddress)`. */
export function emitRecordOpen(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, recordFrame, (epilogue) => {
    const [begun, beyond, raise, inUse] = asm.labels('begun', 'beyond', 'raise', 'inUse');
    asm.shr(rcx, 2);
    asm.bind(begun);
    asm.lea(r10, at(rcx, 1));
    emitSlotOfIndex(asm, rcx, beyond, environment);
    asm.mov(opening.slot, rcx);
    asm.mov(opening.rowAndType, rdx);
    asm.mov(r9, environment.linkSlots.ledger);
    asm.bind(raise);
    asm.mov(rax, at(r9, header.slotsUsed));
    asm.cmp(r10, rax);
    asm.j('be', inUse);
    asm.lockCmpxchg(at(r9, header.slotsUsed), r10);
    asm.j('ne', raise);
    asm.bind(inUse);
    asm.mov(rcx, r8);
    asm.shr(edx, 16); // the type
    asm.call(environment.captureStack);
    if (environment.quarantine !== undefined) emitNoteRecentOpen(asm, opening.rowAndType, environment);
    asm.mov(rcx, opening.slot);
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
    const firstLife = asm.label('firstLife');
    asm.test(r8, r8);
    asm.j('e', firstLife);
    emitKeepLife(asm, rcx, r8, rdx, environment);
    asm.bind(firstLife);
    asm.movImmediate32(at(rcx, slot.runtimeObject), 0);
    emitWriteOpening(asm, opening.rowAndType, environment);
    if (environment.stops !== undefined) {
      asm.mov(eax, at(rcx, slot.openedStack));
      emitNoteOpening(asm, environment);
    }
    epilogue();
    asm.bind(beyond);
    emitGrow(asm, begun, environment);
    epilogue();
  });
}

/** Writes an opening into the slot at rcx: r8 has the state so far, and eax the stack's id. Clobbers rdx. */
export function emitWriteOpening(asm: Assembler, rowAndType: Memory, environment: LinkedEnvironment): void {
  asm.or(r8, 1);
  asm.add(r8, 2); // the next generation, open
  emitPackStack(asm, r8, rdx);
  asm.mov(at(rcx, slot.openedStack), rax);
  emitReadTime(asm, rax, environment);
  asm.mov(at(rcx, slot.openedTime), rax);
  asm.mov(eax, teb(tebField.threadId));
  asm.mov(at(rcx, slot.openedThread), eax);
  asm.mov(rax, rowAndType);
  asm.mov(at(rcx, slot.openedCall), eax); // the type is the upper half
  asm.mov(at(rcx, slot.state), r8); // last: from now on the slot is open
}

/**
 * Emits `void recordClose(HANDLE value, u64 state before the call, u64* returnAddress, u32 row | SWEPT << 16)`: the
 * flag is absent for a close of the program's own.
 */
export function emitRecordClose(asm: Assembler, begin: Label, environment: RecorderEnvironment): FramedFunction {
  return framedFunction(asm, begin, recordFrame, (epilogue) => {
    const [begun, beyond, unseen, exchange, closed, done] = asm.labels(
      'begun',
      'beyond',
      'unseen',
      'exchange',
      'closed',
      'done',
    );
    asm.shr(rcx, 2);
    asm.bind(begun);
    emitSlotOfIndex(asm, rcx, beyond, environment);
    asm.mov(rax, rdx);
    asm.mov(r10, rdx);
    if (environment.quarantine !== undefined) {
      const unclaimed = asm.label('unclaimed');
      asm.test(rdx, rdx);
      asm.j('ns', unclaimed);
      // The closer has claimed the slot: other threads change only its flags.
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
    asm.bind(unseen); // the recorder did not see the opening: it gets a generation of its own
    asm.add(r10, 2);
    asm.bind(exchange);
    asm.lockCmpxchg(at(rcx, slot.state), r10);
    asm.j('ne', done); // another thread has the value already
    asm.bind(closed);
    emitWriteClosing(asm, r10, closing, environment);
    // The opening stack does not learn from what a sweep closes.
    asm.test(r9d, SWEPT << 16);
    asm.j('ne', done);
    emitLearnClosing(asm, done, environment);
    asm.bind(done);
    epilogue();
    asm.bind(beyond);
    emitGrow(asm, begun, environment);
    epilogue();
  });
}

/**
 * The stack that opened the slot at rcx learns that such handles are closed at the stack in r10, but not while the
 * process exits. The slot's state is in r8. Jumps to `done` where there is nothing to learn. Clobbers rax, rdx, r8.
 */
export function emitLearnClosing(asm: Assembler, done: Label, { linkSlots }: LinkedEnvironment): void {
  asm.mov(rax, linkSlots.ledger);
  asm.cmpImmediate32(at(rax, header.exiting), 0);
  asm.j('ne', done);
  asm.shr(r8, 1);
  asm.cmp(r8d, at(rcx, slot.openedGeneration));
  asm.j('ne', done);
  asm.mov(eax, at(rcx, slot.openedStack));
  asm.test(eax, eax);
  asm.j('e', done);
  asm.mov(rdx, linkSlots.stackPool);
  asm.lea(rdx, indexed(rdx, rax, 8));
  // Reading before writing keeps the cache line shared between processors.
  asm.cmp(r10d, at(rdx, stackNode.closedBy));
  asm.j('e', done);
  asm.mov(at(rdx, stackNode.closedBy), r10d);
}

/** Places in the caller's frame that {@link emitWriteClosing} uses. */
type ClosingPlaces = FramePlaces<readonly ['slot', 'state', 'row']>;

/**
 * Writes a close into the slot at rcx: made at the return address in r8, by the row in r9, and after it the slot has
 * `state`. Leaves the slot in rcx, its state in r8, the row in r9, and the close's stack in r10. Clobbers the other
 * volatile registers.
 */
export function emitWriteClosing(
  asm: Assembler,
  state: Register,
  places: ClosingPlaces,
  environment: Pick<RecorderEnvironment, 'linkSlots' | 'captureStack'>,
): void {
  asm.mov(places.slot, rcx);
  asm.mov(places.state, state);
  asm.mov(places.row, r9);
  asm.mov(rcx, r8);
  asm.xor(edx, edx);
  asm.call(environment.captureStack);
  asm.mov(rcx, places.slot);
  asm.mov(r8, places.state);
  asm.mov(r9, places.row);
  asm.mov(r10d, eax);
  emitReadTime(asm, r11, environment);
  asm.mov(at(rcx, slot.closedTime), r11);
  asm.mov(r11d, teb(tebField.threadId));
  asm.mov(at(rcx, slot.closedThread), r11d);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.mov(eax, at(rax, header.exiting));
  asm.shl(eax, 16);
  asm.or(eax, r9d);
  asm.mov(at(rcx, slot.closedCall), eax); // closedWhileExiting is the upper half, to which a sweep adds its flag
  asm.mov(eax, r10d);
  emitPackStack(asm, r8, rdx);
  asm.mov(at(rcx, slot.closedStack), rax);
}

/**
 * Notes an open in the ring of recent opens: its stack's id is in rax, its type in `rowAndType`. Keeps rax. Clobbers
 * rdx, r9, r11.
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
