import { header, slot, STATE_CLOSING, STATE_OCCUPIED, STATE_QUARANTINED } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r8, r9, r9d, rax, rcx, rdx, type Register, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { DUPLICATE_SAME_ACCESS, emitDuplicateHandle } from '../abi/duplicate-handle.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { STATUS_INVALID_HANDLE } from '../abi/status.ts';
import { emitAskForFlags, handleFlags, OBJ_INHERIT } from './inheritable.ts';
import type { Quarantine } from './recorder-environment.ts';
import { emitSlotAddress } from './slot-address.ts';

/*
 * The quarantine is AddressSanitizer's idea, for handles. For a while after its close a value means nothing. A call
 * that still uses it is refused, and never reaches an object of other code.
 *
 * A value's slot says whether the value is quarantined. It says so before the close reaches the kernel, and from then
 * on the hooks refuse the value, whatever the kernel would do. When the kernel gives such a value out again, the
 * opening hook moves the new object to another value before the program sees it. This is rare, because a handle of a
 * powerless object, the sentinel, occupies a quarantined value: from the close on if no other thread was quicker, or
 * else from when an object was moved away. Handles that come past the hooks (from another process, from the kernel) do
 * not get such a value either.
 *
 * The last N closed values are quarantined. The one that leaves the ring is free again.
 */

/** The flags that a slot loses when its quarantine ends. */
const QUARANTINE_FLAGS = STATE_QUARANTINED | STATE_OCCUPIED;

/** How long a handle that a hook is about to move away may stay: its thread may have to wait for the processor. */
const MOVE_TIMEOUT_MS = 50;
const CLOSE_TIMEOUT_MS = 1000;
const SPIN_COUNT = 1000;

/** Home space and stack arguments of NtDuplicateObject. */
const ARGUMENTS_SIZE_BYTES = 0x38;
const information = ARGUMENTS_SIZE_BYTES;
const INFORMATION_SIZE_BYTES = 0x38; // PUBLIC_OBJECT_BASIC_INFORMATION
const PLACES = information + INFORMATION_SIZE_BYTES;
const frame: FrameShape = { pushes: [], sizeBytes: PLACES + 7 * 8 };
const { value, triesLeft, scratch, ...saved } = framePlaces(
  frame,
  PLACES,
  'value',
  'triesLeft',
  'scratch',
  'rcx',
  'rdx',
  'r8',
  'r9',
);
/** The argument registers, and where routines that keep them save them. */
const savedArguments = [
  [rcx, saved.rcx],
  [rdx, saved.rdx],
  [r8, saved.r8],
  [r9, saved.r9],
] as const;

/** Emits the four routines, in the order of {@link Quarantine}. */
export function emitQuarantine(asm: Assembler, routines: Quarantine, environment: LinkedEnvironment): FramedFunction[] {
  return [
    emitIsQuarantined(asm, routines.isQuarantined, environment),
    emitAwaitClose(asm, routines.awaitClose, environment),
    emitEnterQuarantine(asm, routines.enterQuarantine, environment),
    emitMoveOutOfQuarantine(asm, routines.moveOutOfQuarantine, environment),
  ];
}

function emitIsQuarantined(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [look, refuse, lost, forget, pass, done] = asm.labels('look', 'refuse', 'lost', 'forget', 'pass', 'done');
    saveArguments(asm);
    asm.mov(value, rax);
    asm.movImmediate64(triesLeft, MOVE_TIMEOUT_MS);
    asm.bind(look);
    emitSlotOf(asm, r10, value, pass, environment);
    asm.mov(rax, at(r10, slot.state));
    asm.test(rax, rax);
    asm.j('ns', pass);
    emitTestFlag(asm, rax, STATE_CLOSING);
    asm.j('ne', pass); // the close is still to be made, or being recorded
    emitTestFlag(asm, rax, STATE_OCCUPIED);
    asm.j('ne', refuse);
    asm.mov(rcx, value);
    asm.xor(edx, edx); // ObjectBasicInformation
    asm.lea(r8, at(rsp, information));
    asm.mov(r9d, INFORMATION_SIZE_BYTES);
    asm.movImmediate64(at(rsp, 0x20), 0);
    asm.call(environment.ntdllImport('NtQueryObject'));
    asm.cmp(eax, STATUS_INVALID_HANDLE);
    asm.j('e', refuse);
    // The kernel gave the value out: to a hook, which moves the object away at once, or to a call without a hook.
    asm.sub(triesLeft, 1);
    asm.j('e', lost);
    emitSleep(asm, environment);
    asm.jmp(look);
    asm.bind(lost);
    emitSlotOf(asm, r10, value, pass, environment);
    emitForget(asm, forget, pass, environment);
    asm.bind(pass);
    asm.xor(eax, eax);
    asm.jmp(done);
    asm.bind(refuse);
    asm.mov(eax, 1);
    asm.bind(done);
    restoreArguments(asm);
    epilogue();
  });
}

function emitAwaitClose(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [look, asleep, done] = asm.labels('look', 'asleep', 'done');
    saveArguments(asm);
    asm.mov(value, rax);
    asm.movImmediate64(triesLeft, SPIN_COUNT + CLOSE_TIMEOUT_MS);
    asm.bind(look);
    emitSlotOf(asm, r10, value, done, environment);
    asm.mov(rax, at(r10, slot.state));
    emitTestFlag(asm, rax, STATE_CLOSING);
    asm.j('e', done);
    asm.pause();
    asm.sub(triesLeft, 1);
    asm.cmp(triesLeft, CLOSE_TIMEOUT_MS);
    asm.j('ae', look);
    asm.cmp(triesLeft, 0);
    asm.j('ne', asleep);
    // The closing thread is gone, or its close takes long: this thread stops waiting for it.
    asm.mov(rdx, -STATE_CLOSING);
    asm.lockXadd(at(r10, slot.state), rdx);
    asm.jmp(done);
    asm.bind(asleep);
    emitSleep(asm, environment);
    asm.jmp(look);
    asm.bind(done);
    restoreArguments(asm);
    epilogue();
  });
}

function emitEnterQuarantine(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [occupy, done] = asm.labels('occupy', 'done');
    asm.and(rcx, -4);
    asm.mov(value, rcx);
    emitSlotOf(asm, r10, value, done, environment);
    emitMarkQuarantined(asm, done, environment);
    emitEnterRing(asm, environment);
    asm.test(rax, rax);
    asm.j('e', occupy);
    emitEvict(asm, occupy, environment);
    asm.bind(occupy);
    emitOccupy(asm, environment);
    // This comes last: a thread that waits for this close then finds the value quarantined and the close recorded.
    emitSlotOf(asm, r10, value, done, environment);
    emitEndClosing(asm, done);
    asm.bind(done);
    epilogue();
  });
}

/**
 * Marks the slot at r10 as quarantined, unless its closer has claimed it. Jumps to `opened` where the value was opened
 * again already. Clobbers rax, rdx.
 */
function emitMarkQuarantined(asm: Assembler, opened: Label, { linkSlots }: LinkedEnvironment): void {
  const marked = asm.label('marked');
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('ne', opened);
  asm.test(rax, rax);
  asm.j('s', marked);
  asm.mov(rdx, STATE_QUARANTINED);
  asm.or(rdx, rax);
  asm.lockCmpxchg(at(r10, slot.state), rdx);
  asm.j('ne', opened);
  asm.mov(rdx, linkSlots.ledger);
  asm.mov(rdx, at(rdx, header.opens));
  asm.mov(at(r10, slot.opensBefore), edx);
  asm.bind(marked);
}

/** Puts the value into the ring: `rax = the value that leaves it`, 0 for none. Clobbers rcx, rdx, r8, r9. */
function emitEnterRing(asm: Assembler, { linkSlots }: LinkedEnvironment): void {
  const swap = asm.label('swap');
  asm.mov(r8, linkSlots.ledger);
  asm.mov(edx, 1);
  asm.lockXadd(at(r8, header.quarantineNext), edx);
  asm.mov(r9, linkSlots.quarantineMask);
  asm.and(edx, r9d);
  asm.mov(r9, linkSlots.quarantine);
  asm.lea(r9, indexed(r9, rdx, 4));
  asm.mov(rcx, value);
  asm.mov(eax, at(r9));
  asm.bind(swap);
  asm.lockCmpxchg(at(r9), ecx);
  asm.j('ne', swap);
  asm.mov(eax, eax);
}

/** Ends the quarantine of the value in rax, and closes its sentinel. Jumps to `done` where it has none. */
function emitEvict(asm: Assembler, done: Label, environment: LinkedEnvironment): void {
  const retry = asm.label('retry');
  asm.mov(scratch, rax);
  emitSlotOf(asm, r10, scratch, done, environment);
  emitForget(asm, retry, done, environment, { lost: false });
  emitTestFlag(asm, rax, STATE_OCCUPIED);
  asm.j('e', done);
  asm.mov(rcx, scratch);
  asm.call(environment.ntdllImport('NtClose'));
}

/** Takes STATE_CLOSING from the slot at r10. Jumps to `done` where it has been taken already. Clobbers rax, rdx. */
function emitEndClosing(asm: Assembler, done: Label): void {
  const clear = asm.label('clear');
  asm.mov(rax, at(r10, slot.state));
  asm.bind(clear);
  emitTestFlag(asm, rax, STATE_CLOSING);
  asm.j('e', done);
  asm.mov(rdx, -STATE_CLOSING);
  asm.add(rdx, rax);
  asm.lockCmpxchg(at(r10, slot.state), rdx);
  asm.j('ne', clear);
}

function emitMoveOutOfQuarantine(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [next, stay, forget, settled] = asm.labels('next', 'stay', 'forget', 'settled');
    asm.mov(value, rcx);
    asm.bind(next);
    emitSlotOf(asm, r10, value, settled, environment);
    asm.mov(rax, at(r10, slot.state));
    asm.test(rax, rax);
    asm.j('ns', settled);
    emitReadAttributes(asm, stay, environment);
    asm.mov(rdx, value);
    emitDuplicateHandle(asm, environment, scratch, DUPLICATE_SAME_ACCESS, rax);
    asm.test(eax, eax);
    asm.j('s', stay); // some objects have one handle for life
    asm.mov(rcx, value);
    asm.call(environment.ntdllImport('NtClose'));
    asm.mov(rax, scratch);
    asm.mov(value, rax);
    emitOccupy(asm, environment);
    asm.jmp(next);

    asm.bind(stay);
    emitSlotOf(asm, r10, value, settled, environment);
    emitForget(asm, forget, settled, environment);

    asm.bind(settled);
    asm.mov(rax, value);
    epilogue();
  });
}

/**
 * Reads into rax the attributes that the duplicate of the handle in `value` must have. DUPLICATE_SAME_ATTRIBUTES is no
 * substitute: Wine 8 ignores it. Jumps to `unmovable` where the handle is protected, so that it could not be closed.
 */
function emitReadAttributes(asm: Assembler, unmovable: Label, environment: LinkedEnvironment): void {
  asm.mov(rcx, value);
  emitAskForFlags(asm, environment, at(rsp, information));
  asm.test(eax, eax);
  asm.j('s', unmovable);
  asm.movzx8(rax, at(rsp, information + handleFlags.protectFromClose));
  asm.test(eax, eax);
  asm.j('ne', unmovable);
  asm.movzx8(rax, at(rsp, information + handleFlags.inherit));
  asm.shl(eax, Math.log2(OBJ_INHERIT));
}

/** Duplicates the sentinel. The duplicate stays if it got a free quarantined value, and is closed otherwise. */
function emitOccupy(asm: Assembler, environment: LinkedEnvironment): void {
  const [mark, giveBack, done] = asm.labels('mark', 'giveBack', 'done');
  asm.mov(rdx, environment.linkSlots.ledger);
  asm.mov(rdx, at(rdx, header.sentinel));
  emitDuplicateHandle(asm, environment, scratch, 0);
  asm.test(eax, eax);
  asm.j('s', done);
  emitSlotOf(asm, r10, scratch, giveBack, environment);
  asm.mov(rax, at(r10, slot.state));
  asm.bind(mark);
  asm.test(rax, rax);
  asm.j('ns', giveBack);
  asm.mov(rdx, STATE_OCCUPIED);
  asm.or(rdx, rax);
  asm.lockCmpxchg(at(r10, slot.state), rdx);
  asm.j('ne', mark);
  asm.jmp(done);
  asm.bind(giveBack);
  asm.mov(rcx, scratch);
  asm.call(environment.ntdllImport('NtClose'));
  asm.bind(done);
}

/**
 * Ends the quarantine of the slot at r10, and leaves the state before in rax. Jumps to `notQuarantined` where it had
 * ended. Counts a value that leaves too early, unless `lost` is false.
 */
function emitForget(
  asm: Assembler,
  retry: Label,
  notQuarantined: Label,
  environment: LinkedEnvironment,
  { lost } = { lost: true },
): void {
  asm.mov(rax, at(r10, slot.state));
  asm.bind(retry);
  asm.test(rax, rax);
  asm.j('ns', notQuarantined);
  asm.mov(rdx, ~QUARANTINE_FLAGS);
  asm.and(rdx, rax);
  asm.lockCmpxchg(at(r10, slot.state), rdx);
  asm.j('ne', retry);
  if (!lost) return;
  asm.mov(rdx, environment.linkSlots.ledger);
  asm.lockInc32(at(rdx, header.quarantineLost));
}

/** Tests one flag of a state. Clobbers rdx. */
function emitTestFlag(asm: Assembler, state: Register, flag: bigint): void {
  asm.mov(rdx, flag);
  asm.test(state, rdx);
}

/** Address of the slot of the value in `from`. */
function emitSlotOf(asm: Assembler, target: Register, from: Memory, none: Label, environment: LinkedEnvironment): void {
  asm.mov(target, from);
  emitSlotAddress(asm, target, none, environment);
}

/** Sleeps for a millisecond. */
function emitSleep(asm: Assembler, environment: LinkedEnvironment): void {
  asm.movImmediate64(scratch, -10_000); // 100 ns, relative
  asm.xor(ecx, ecx);
  asm.lea(rdx, scratch);
  asm.call(environment.ntdllImport('NtDelayExecution'));
}

function saveArguments(asm: Assembler): void {
  for (const [register, place] of savedArguments) asm.mov(place, register);
}

function restoreArguments(asm: Assembler): void {
  for (const [register, place] of savedArguments) asm.mov(register, place);
}
