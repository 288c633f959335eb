import { header, slot, STATE_CLOSING, STATE_OCCUPIED, STATE_QUARANTINED } from '../ledger-layout.ts';
import type { LinkedEnvironment } from '../linkage.ts';
import {
  type Assembler, at, indexed, type Label, low32, type Memory, r10, r8, r9, rax, rcx, rdx, type Register, rsp,
} from './assembler.ts'; // prettier-ignore
import { STATUS_INVALID_HANDLE } from './hook-frame.ts';
import { emitSlotAddress, type Quarantine } from './recorder.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/*
 * The quarantine, AddressSanitizer's idea for handles: for a while after its close a value means nothing, so that whoever
 * still has it is refused and never reaches somebody else's object.
 *
 * Whether a value is quarantined stands in its slot, set before the close reaches the kernel: the hooks refuse it from then
 * on, whatever the kernel would say. Where the kernel hands such a value out again, the opening hook moves the new object to
 * another value before the program sees it. So that this is rare, a quarantined value is occupied by a handle of a powerless
 * object, the sentinel: at the close, if no other thread was quicker, or else when an object was moved away from it. And
 * handles that come past the hooks (from another process, from the kernel) do not get such a value.
 *
 * The last N closed values are quarantined; the one that leaves is free again.
 */

const DUPLICATE_SAME_ACCESS_AND_ATTRIBUTES = 2 | 4;
const CURRENT_PROCESS = -1n;

/** What a slot loses with its quarantine. */
const QUARANTINE_FLAGS = STATE_QUARANTINED | STATE_OCCUPIED;

/** A handle that a hook is about to move away is there for as long as its thread is not given the processor. */
const MOVE_TIMEOUT_MS = 50;
const CLOSE_TIMEOUT_MS = 1000;
const SPIN_COUNT = 1000;

/** Home space and stack arguments of NtDuplicateObject, a PUBLIC_OBJECT_BASIC_INFORMATION of 0x38 bytes, seven places. */
const frame: FrameShape = { pushes: [], sizeBytes: 0x38 + 0x38 + 0x38 };
const information = 0x38;
const place = (index: number): Memory => at(rsp, 0x70 + index * 8);
const value = place(0);
const triesLeft = place(1);
const scratch = place(2);
const saved = [place(3), place(4), place(5), place(6)] as const;
const argumentRegisters = [rcx, rdx, r8, r9] as const;

/** Emits the four routines, in the order of {@link Quarantine}. */
export function emitQuarantine(assembler: Assembler, routines: Quarantine, environment: LinkedEnvironment): FramedFunction[] {
  return [
    emitIsQuarantined(assembler, routines.isQuarantined, environment),
    emitAwaitClose(assembler, routines.awaitClose, environment),
    emitEnterQuarantine(assembler, routines.enterQuarantine, environment),
    emitMoveOutOfQuarantine(assembler, routines.moveOutOfQuarantine, environment),
  ];
}

function emitIsQuarantined(assembler: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [look, refuse, lost, forget, pass, done] = assembler.labels('look', 'refuse', 'lost', 'forget', 'pass', 'done');
    saveArguments(assembler);
    assembler.mov(value, rax);
    assembler.movImmediate64(triesLeft, MOVE_TIMEOUT_MS);
    assembler.bind(look);
    emitSlot(assembler, r10, value, pass, environment);
    assembler.mov(rax, at(r10, slot.state));
    assembler.test(rax, rax);
    assembler.j('ns', pass);
    emitTestFlag(assembler, rax, STATE_CLOSING);
    assembler.j('ne', pass); // the close has not been carried out yet, or is being recorded
    emitTestFlag(assembler, rax, STATE_OCCUPIED);
    assembler.j('ne', refuse);
    assembler.mov(rcx, value);
    assembler.xor(low32(rdx), low32(rdx)); // ObjectBasicInformation
    assembler.lea(r8, at(rsp, information));
    assembler.mov(low32(r9), 0x38);
    assembler.movImmediate64(at(rsp, 0x20), 0);
    assembler.call(environment.native('NtQueryObject'));
    assembler.cmp(low32(rax), STATUS_INVALID_HANDLE);
    assembler.j('e', refuse);
    // Somebody was handed the value: a hook, which moves the object away at once, or a call that is not hooked.
    assembler.sub(triesLeft, 1);
    assembler.j('e', lost);
    emitSleep(assembler, environment);
    assembler.jmp(look);
    assembler.bind(lost);
    emitSlot(assembler, r10, value, pass, environment);
    emitForget(assembler, forget, pass, environment);
    assembler.bind(pass);
    assembler.xor(low32(rax), low32(rax));
    assembler.jmp(done);
    assembler.bind(refuse);
    assembler.mov(low32(rax), 1);
    assembler.bind(done);
    restoreArguments(assembler);
    epilogue();
  });
}

function emitAwaitClose(assembler: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [look, asleep, done] = assembler.labels('look', 'asleep', 'done');
    saveArguments(assembler);
    assembler.mov(value, rax);
    assembler.movImmediate64(triesLeft, SPIN_COUNT + CLOSE_TIMEOUT_MS);
    assembler.bind(look);
    emitSlot(assembler, r10, value, done, environment);
    assembler.mov(rax, at(r10, slot.state));
    emitTestFlag(assembler, rax, STATE_CLOSING);
    assembler.j('e', done);
    assembler.pause();
    assembler.sub(triesLeft, 1);
    assembler.cmp(triesLeft, CLOSE_TIMEOUT_MS);
    assembler.j('ae', look);
    assembler.cmp(triesLeft, 0);
    assembler.j('ne', asleep);
    // The thread that was closing it is gone, or the close takes long: it is on its own from here on.
    assembler.mov(rdx, -STATE_CLOSING);
    assembler.lockXadd(at(r10, slot.state), rdx);
    assembler.jmp(done);
    assembler.bind(asleep);
    emitSleep(assembler, environment);
    assembler.jmp(look);
    assembler.bind(done);
    restoreArguments(assembler);
    epilogue();
  });
}

function emitEnterQuarantine(assembler: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [marked, swap, evict, occupy, done] = assembler.labels('marked', 'swap', 'evict', 'occupy', 'done');
    assembler.and(rcx, -4);
    assembler.mov(value, rcx);
    emitSlot(assembler, r10, value, done, environment);
    assembler.mov(rax, at(r10, slot.state));
    assembler.test(low32(rax), 1);
    assembler.j('ne', done); // somebody has it already
    assembler.test(rax, rax);
    assembler.j('s', marked);
    assembler.mov(rdx, STATE_QUARANTINED);
    assembler.or(rdx, rax);
    assembler.lockCmpxchg(at(r10, slot.state), rdx);
    assembler.j('ne', done);
    assembler.mov(rdx, environment.words.ledger);
    assembler.mov(rdx, at(rdx, header.opens));
    assembler.mov(at(r10, slot.opensBefore), low32(rdx));
    assembler.bind(marked);

    assembler.mov(r8, environment.words.ledger);
    assembler.mov(low32(rdx), 1);
    assembler.lockXadd(at(r8, header.quarantineNext), low32(rdx));
    assembler.mov(r9, environment.words.quarantineMask);
    assembler.and(low32(rdx), low32(r9));
    assembler.mov(r9, environment.words.quarantine);
    assembler.lea(r9, indexed(r9, rdx, 4));
    assembler.mov(rcx, value);
    assembler.mov(low32(rax), at(r9));
    assembler.bind(swap);
    assembler.lockCmpxchg(at(r9), low32(rcx));
    assembler.j('ne', swap);
    assembler.mov(low32(rax), low32(rax));
    assembler.test(rax, rax);
    assembler.j('e', occupy);
    assembler.mov(scratch, rax);
    emitSlot(assembler, r10, scratch, occupy, environment);
    emitForget(assembler, evict, occupy, environment, { lost: false });
    emitTestFlag(assembler, rax, STATE_OCCUPIED);
    assembler.j('e', occupy);
    assembler.mov(rcx, scratch);
    assembler.call(environment.native('NtClose'));

    assembler.bind(occupy);
    emitOccupy(assembler, environment);
    // Last: whoever waits for this close finds the value quarantined and the close recorded.
    emitSlot(assembler, r10, value, done, environment);
    const [clear] = assembler.labels('clear');
    assembler.mov(rax, at(r10, slot.state));
    assembler.bind(clear);
    emitTestFlag(assembler, rax, STATE_CLOSING);
    assembler.j('e', done);
    assembler.mov(rdx, -STATE_CLOSING);
    assembler.add(rdx, rax);
    assembler.lockCmpxchg(at(r10, slot.state), rdx);
    assembler.j('ne', clear);
    assembler.bind(done);
    epilogue();
  });
}

function emitMoveOutOfQuarantine(assembler: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [next, stay, forget, settled] = assembler.labels('next', 'stay', 'forget', 'settled');
    assembler.mov(value, rcx);
    assembler.bind(next);
    emitSlot(assembler, r10, value, settled, environment);
    assembler.mov(rax, at(r10, slot.state));
    assembler.test(rax, rax);
    assembler.j('ns', settled);
    assembler.mov(rdx, value);
    emitDuplicate(assembler, rdx, scratch, DUPLICATE_SAME_ACCESS_AND_ATTRIBUTES, environment);
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', stay); // some objects have one handle for life
    assembler.mov(rcx, value);
    assembler.call(environment.native('NtClose'));
    assembler.mov(rax, scratch);
    assembler.mov(value, rax);
    emitOccupy(assembler, environment);
    assembler.jmp(next);

    assembler.bind(stay);
    emitSlot(assembler, r10, value, settled, environment);
    emitForget(assembler, forget, settled, environment);

    assembler.bind(settled);
    assembler.mov(rax, value);
    epilogue();
  });
}

/** Occupies whichever value the kernel gives next, if it is a quarantined one that is free; else gives it back. */
function emitOccupy(assembler: Assembler, environment: LinkedEnvironment): void {
  const [mark, giveBack, done] = assembler.labels('mark', 'giveBack', 'done');
  assembler.mov(rdx, environment.words.ledger);
  assembler.mov(rdx, at(rdx, header.sentinel));
  emitDuplicate(assembler, rdx, scratch, 0, environment);
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', done);
  emitSlot(assembler, r10, scratch, giveBack, environment);
  assembler.mov(rax, at(r10, slot.state));
  assembler.bind(mark);
  assembler.test(rax, rax);
  assembler.j('ns', giveBack);
  assembler.mov(rdx, STATE_OCCUPIED);
  assembler.or(rdx, rax);
  assembler.lockCmpxchg(at(r10, slot.state), rdx);
  assembler.j('ne', mark);
  assembler.jmp(done);
  assembler.bind(giveBack);
  assembler.mov(rcx, scratch);
  assembler.call(environment.native('NtClose'));
  assembler.bind(done);
}

/** `NtDuplicateObject` within this process; the status is in eax. */
function emitDuplicate(assembler: Assembler, source: Register, copy: Memory, options: number, environment: LinkedEnvironment): void {
  if (source.code !== rdx.code) throw new Error('the source is the second argument');
  assembler.mov(rcx, CURRENT_PROCESS);
  assembler.mov(r8, CURRENT_PROCESS);
  assembler.lea(r9, copy);
  assembler.movImmediate64(at(rsp, 0x20), 0); // ACCESS_MASK DesiredAccess: none, where the options do not say "the same"
  assembler.movImmediate64(at(rsp, 0x28), 0); // ULONG HandleAttributes
  assembler.movImmediate64(at(rsp, 0x30), options); // ULONG Options
  assembler.call(environment.native('NtDuplicateObject'));
}

/**
 * Ends the quarantine of the slot at r10; rax then holds its state before. Jumps to `notQuarantined` where it had ended. What the
 * quarantine loses by it is counted.
 */
function emitForget(assembler: Assembler, retry: Label, notQuarantined: Label, environment: LinkedEnvironment, { lost } = { lost: true }): void {
  assembler.mov(rax, at(r10, slot.state));
  assembler.bind(retry);
  assembler.test(rax, rax);
  assembler.j('ns', notQuarantined);
  assembler.mov(rdx, ~QUARANTINE_FLAGS);
  assembler.and(rdx, rax);
  assembler.lockCmpxchg(at(r10, slot.state), rdx);
  assembler.j('ne', retry);
  if (!lost) return;
  assembler.mov(rdx, environment.words.ledger);
  assembler.lockInc32(at(rdx, header.quarantineLost));
}

/** Sets the flags by the AND with one bit. Clobbers rdx. */
function emitTestFlag(assembler: Assembler, state: Register, flag: bigint): void {
  assembler.mov(rdx, flag);
  assembler.test(state, rdx);
}

/** Address of the slot of the value in `from`. */
function emitSlot(assembler: Assembler, target: Register, from: Memory, none: Label, environment: LinkedEnvironment): void {
  assembler.mov(target, from);
  emitSlotAddress(assembler, target, none, environment);
}

/** Gives the processor away for a millisecond. */
function emitSleep(assembler: Assembler, environment: LinkedEnvironment): void {
  assembler.movImmediate64(scratch, -10_000); // 100 ns, relative
  assembler.xor(low32(rcx), low32(rcx));
  assembler.lea(rdx, scratch);
  assembler.call(environment.native('NtDelayExecution'));
}

function saveArguments(assembler: Assembler): void {
  argumentRegisters.forEach((register, index) => assembler.mov(saved[index]!, register));
}

function restoreArguments(assembler: Assembler): void {
  argumentRegisters.forEach((register, index) => assembler.mov(register, saved[index]!));
}
