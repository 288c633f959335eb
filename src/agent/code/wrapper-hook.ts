import type { WrapperType } from '../function-table.ts';
import { typeIndex } from '../hook-table.ts';
import { DESCRIPTOR_KEY, MISUSE_CLOSE, MISUSE_USE, misuse, slot, wrapper } from '../ledger-layout.ts';
import { INT, NEGATIVE, openedFrom, POSITIVE, wrapperRow, ZERO } from '../wrapper-row.ts';
import {
  type Assembler, at, indexed, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, rsp,
} from './assembler.ts'; // prettier-ignore
import { type HookEnvironment, STATUS_INVALID_HANDLE } from './hook-frame.ts';
import { type FramedFunction, framedFunction, type FrameShape, returnAddressOffset } from './unwind-info.ts';
import { emitUnlink, emitWrapperAddress, emitWrapperIndex } from './wrappers.ts';

/*
 * One hook for all functions that open, close or work on wrappers, and a row of data for each of them that says what it does.
 *
 * Whether a wrapper is closed is looked up before the call, for a library may end the process over a closed one. That this is no mistake of
 * ours is certain: of what is being opened again at this moment nobody can know yet, as every function that could have told is hooked. The
 * misuse counts when the call fails, or does not come back.
 *
 * What a library does inside of itself is not the program's doing: a call from its own module passes through.
 */

/** Home space and the stack arguments of the widest function (FindFirstFileTransacted has three), then places of our own. */
const STACK_ARGUMENTS = 4;
const PLACES = 0x20 + STACK_ARGUMENTS * 8;
const frame: FrameShape = { pushes: [], sizeBytes: PLACES + 15 * 8 };
const place = (index: number): Memory => at(rsp, PLACES + index * 8);
const argumentRegisters = [rcx, rdx, r8, r9] as const;
/** Nothing of a process lies below. */
const LOWEST_ADDRESS = 0x1_0000;
/** Where all of the caller's arguments lie in a row, once those in registers are saved to the home space that the caller left for them. */
const ARGUMENTS = returnAddressOffset(frame) + 8;
const ROW = place(0);
const TRAMPOLINE = place(1);
const RESULT = place(2);
/** Record of a misuse whose call has not come back; 0: none. */
const PENDING = place(3);
/** The wrapper that the call closes, and its state before; 0: none. */
const CLOSING = place(4);
const CLOSING_STATE = place(5);
/** Of a FILE that the call closes: its descriptor's. */
const DESCRIPTOR = place(6);
const DESCRIPTOR_STATE = place(7);
/** Not 0 when the call has failed. */
const FAILED = place(8);
/** Of what the call has opened: its place in the row of them. */
const OPENED = place(9);
/** What is being recorded as opened: its value and key, its wrapper, and of a FILE the address. */
const VALUE = place(10);
const KEY = place(11);
const WRAPPER = place(12);
const STREAM = place(13);

/** Emits the hook, entered by a jump from a thunk with the caller's arguments and stack. */
export function emitWrapperHook(assembler: Assembler, begin: Label, environment: HookEnvironment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [passThrough, done] = assembler.labels('passThrough', 'done');
    argumentRegisters.forEach((register, index) => assembler.mov(at(rsp, ARGUMENTS + index * 8), register));
    assembler.mov(TRAMPOLINE, r11);
    assembler.movImmediate64(ROW, 0);
    assembler.mov(rax, at(rsp, returnAddressOffset(frame)));
    assembler.sub(rax, at(r10, wrapperRow.moduleBase));
    assembler.cmp(rax, at(r10, wrapperRow.moduleSize));
    assembler.j('b', passThrough);
    assembler.mov(ROW, r10);
    for (const memory of [PENDING, CLOSING, DESCRIPTOR]) assembler.movImmediate64(memory, 0);
    emitBeforeUse(assembler, environment);
    emitBeforeClose(assembler, environment);

    assembler.bind(passThrough);
    for (let index = 0; index < STACK_ARGUMENTS; index++) {
      assembler.mov(rax, at(rsp, ARGUMENTS + (4 + index) * 8));
      assembler.mov(at(rsp, 0x20 + index * 8), rax);
    }
    argumentRegisters.forEach((register, index) => assembler.mov(register, at(rsp, ARGUMENTS + index * 8)));
    assembler.call(TRAMPOLINE);
    assembler.mov(RESULT, rax);
    assembler.cmp(ROW, 0);
    assembler.j('e', done);
    emitJudgeResult(assembler);
    emitSettleMisuse(assembler);
    // What took the place of something is open at any moment: closes come last, and find it opened anew.
    emitRecordOpens(assembler, environment);
    emitRecordCloses(assembler, environment);
    assembler.bind(done);
    assembler.mov(rax, RESULT);
    epilogue();
  });
}

/** `rax = key, r10 = wrapper` of the argument that the row names; jumps to `none` without one. Clobbers rcx, rdx, r11. */
function emitFindArgument(assembler: Assembler, typeAt: number, none: Label, environment: HookEnvironment): void {
  const address = assembler.label('address');
  assembler.mov(rdx, ROW);
  assembler.movzx8(rax, at(rdx, typeAt));
  assembler.test(low32(rax), low32(rax));
  assembler.j('e', none);
  assembler.cmp(low32(rax), typeIndex('Descriptor'));
  assembler.movzx8(rcx, at(rdx, typeAt + 1)); // a mov keeps the flags
  assembler.mov(rax, indexed(rsp, rcx, 8, ARGUMENTS));
  assembler.j('ne', address);
  assembler.mov(low32(rax), low32(rax));
  assembler.or(rax, at(rdx, wrapperRow.descriptorKey));
  assembler.bind(address);
  assembler.call(environment.findWrapper);
  assembler.test(r10, r10);
  assembler.j('e', none);
}

/** Jumps to `otherwise` unless the wrapper at r10 was open once and is closed. Clobbers rcx. */
function emitUnlessClosed(assembler: Assembler, otherwise: Label): void {
  assembler.mov(rcx, at(r10, slot.state));
  assembler.test(rcx, rcx);
  assembler.j('e', otherwise);
  assembler.test(low32(rcx), 1);
  assembler.j('ne', otherwise);
}

/** The wrapper at r10 is closed: notes the misuse, which is not counted before the call's end. */
function emitPend(assembler: Assembler, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE, environment: HookEnvironment): void {
  const [noted, address] = assembler.labels('noted', 'address');
  assembler.cmp(PENDING, 0);
  assembler.j('ne', noted); // one misuse a call
  assembler.mov(rcx, at(r10, wrapper.key));
  assembler.mov(rax, rcx);
  assembler.shr(rax, Math.log2(Number(DESCRIPTOR_KEY)));
  assembler.j('e', address);
  assembler.mov(low32(rcx), low32(rcx)); // the number alone
  assembler.bind(address);
  assembler.mov(rdx, ROW);
  assembler.mov(low32(rdx), at(rdx, wrapperRow.number));
  assembler.or(low32(rdx), kind << 16);
  assembler.lea(r8, at(rsp, returnAddressOffset(frame)));
  assembler.mov(low32(r9), STATUS_INVALID_HANDLE);
  assembler.call(environment.noteMisuse);
  assembler.mov(PENDING, rax);
  assembler.test(rax, rax);
  assembler.j('e', noted);
  assembler.lockInc32(at(rax, misuse.pending));
  assembler.bind(noted);
}

/** A closed wrapper is about to be used. */
function emitBeforeUse(assembler: Assembler, environment: HookEnvironment): void {
  const [done] = assembler.labels('done');
  emitFindArgument(assembler, wrapperRow.usesType, done, environment);
  emitUnlessClosed(assembler, done);
  emitPend(assembler, MISUSE_USE, environment);
  assembler.bind(done);
}

/** A wrapper is about to be closed, or replaced. */
function emitBeforeClose(assembler: Assembler, environment: HookEnvironment): void {
  const [open, stranger, done] = assembler.labels('open', 'stranger', 'done');
  emitFindArgument(assembler, wrapperRow.closesType, done, environment);
  assembler.mov(rcx, at(r10, slot.state));
  assembler.test(low32(rcx), 1);
  assembler.j('ne', open);
  emitUnlessClosed(assembler, done);
  assembler.mov(rdx, ROW);
  assembler.movzx8(rax, at(rdx, wrapperRow.replaces));
  assembler.test(low32(rax), low32(rax));
  assembler.j('ne', done);
  emitPend(assembler, MISUSE_CLOSE, environment);
  assembler.jmp(done);

  assembler.bind(open);
  assembler.mov(CLOSING, r10);
  assembler.mov(CLOSING_STATE, rcx);
  emitUnlink(assembler, environment);
  emitWrapperAddress(assembler, rax, at(r10, wrapper.descriptor), done, environment);
  assembler.mov(rdx, ROW);
  assembler.mov(low32(rcx), at(r10, wrapper.descriptorNumber));
  assembler.or(rcx, at(rdx, wrapperRow.descriptorKey));
  assembler.mov(r10, rax);
  assembler.cmp(rcx, at(r10, wrapper.key));
  assembler.j('ne', done); // its place has been given to another key
  assembler.mov(rcx, at(r10, slot.state));
  assembler.test(low32(rcx), 1);
  assembler.j('e', stranger);
  assembler.mov(DESCRIPTOR, r10);
  assembler.mov(DESCRIPTOR_STATE, rcx);
  emitUnlink(assembler, environment);
  assembler.jmp(done);
  assembler.bind(stranger); // _close was given the FILE's descriptor, and the FILE is going to close it again
  emitUnlessClosed(assembler, done);
  emitPend(assembler, MISUSE_CLOSE, environment);
  assembler.bind(done);
}

/** Whether the call has failed, by its result in rax. Clobbers rcx, rdx. */
function emitJudgeResult(assembler: Assembler): void {
  const [wide, judged] = assembler.labels('wide', 'judged');
  assembler.mov(rdx, ROW);
  assembler.movzx8(rcx, at(rdx, wrapperRow.failure));
  assembler.test(low32(rcx), INT);
  assembler.j('e', wide);
  assembler.movsxd(rax, low32(rax));
  assembler.bind(wide);
  assembler.test(rax, rax);
  assembler.mov(low32(rdx), NEGATIVE); // a mov keeps the flags
  assembler.j('s', judged);
  assembler.mov(low32(rdx), ZERO);
  assembler.j('e', judged);
  assembler.mov(low32(rdx), POSITIVE);
  assembler.bind(judged);
  assembler.and(low32(rdx), low32(rcx));
  assembler.mov(FAILED, rdx);
}

/** The call has come back: its misuse counts if the call failed, or could not have said so. */
function emitSettleMisuse(assembler: Assembler): void {
  const [counts, done] = assembler.labels('counts', 'done');
  assembler.mov(rax, PENDING);
  assembler.test(rax, rax);
  assembler.j('e', done);
  assembler.lockDec32(at(rax, misuse.pending));
  assembler.cmp(FAILED, 0);
  assembler.j('ne', counts);
  assembler.mov(rdx, ROW);
  assembler.movzx8(rcx, at(rdx, wrapperRow.failure));
  assembler.test(low32(rcx), low32(rcx));
  assembler.j('ne', done);
  assembler.bind(counts);
  assembler.lockInc32(at(rax, misuse.count));
  assembler.bind(done);
}

/** Libraries give up what they close even when its handle cannot be closed; some functions leave it as it was when they fail. */
function emitRecordCloses(assembler: Assembler, environment: HookEnvironment): void {
  const [record, done] = assembler.labels('record', 'done');
  const close = (memory: Memory, state: Memory) => {
    assembler.mov(rcx, memory);
    assembler.test(rcx, rcx);
    assembler.j('e', done);
    assembler.mov(rdx, state);
    assembler.lea(r8, at(rsp, returnAddressOffset(frame)));
    assembler.mov(rax, ROW);
    assembler.mov(low32(r9), at(rax, wrapperRow.number));
    assembler.call(environment.closeWrapper);
  };
  assembler.cmp(FAILED, 0);
  assembler.j('e', record);
  assembler.mov(rdx, ROW);
  assembler.movzx8(rax, at(rdx, wrapperRow.keepsOnFailure));
  assembler.test(low32(rax), low32(rax));
  assembler.j('ne', done);
  assembler.bind(record);
  close(CLOSING, CLOSING_STATE);
  close(DESCRIPTOR, DESCRIPTOR_STATE);
  assembler.bind(done);
}

/** Records what the call has opened. */
function emitRecordOpens(assembler: Assembler, environment: HookEnvironment): void {
  const [next, stored, pointer, have, stream, search, recorded, done] = assembler.labels(
    'next', 'stored', 'pointer', 'have', 'stream', 'search', 'recorded', 'done',
  ); // prettier-ignore
  assembler.cmp(FAILED, 0);
  assembler.j('ne', done);
  assembler.movImmediate64(OPENED, 0);

  assembler.bind(next);
  assembler.mov(rdx, ROW);
  assembler.movzx8(rax, at(rdx, wrapperRow.opensCount));
  assembler.cmp(OPENED, rax);
  assembler.j('ae', done);
  assembler.mov(rcx, RESULT);
  assembler.movzx8(rax, at(rdx, wrapperRow.opensFrom));
  assembler.cmp(low32(rax), openedFrom.indexOf('stored-at'));
  assembler.j('b', have);
  assembler.movzx8(rcx, at(rdx, wrapperRow.opensArgument));
  assembler.mov(rcx, indexed(rsp, rcx, 8, ARGUMENTS));
  assembler.j('e', stored);
  assembler.jmp(have); // the argument is the number itself
  assembler.bind(stored);
  assembler.movzx8(rax, at(rdx, wrapperRow.opensType));
  assembler.cmp(low32(rax), typeIndex('Descriptor'));
  assembler.j('ne', pointer);
  assembler.mov(rax, OPENED);
  assembler.mov(low32(rcx), indexed(rcx, rax, 4)); // int
  assembler.jmp(have);
  assembler.bind(pointer);
  assembler.mov(rcx, at(rcx)); // FILE *
  assembler.bind(have);
  assembler.mov(VALUE, rcx);

  assembler.movzx8(rax, at(rdx, wrapperRow.opensType));
  assembler.cmp(low32(rax), typeIndex('FILE'));
  assembler.j('e', stream);
  assembler.cmp(low32(rax), typeIndex('Search'));
  assembler.j('e', search);
  emitOpenDescriptor(assembler, recorded, environment);
  assembler.jmp(recorded);
  assembler.bind(search);
  // Of a device (`NUL`) FindFirstFile gives a constant, which is no search of its own.
  assembler.cmp(VALUE, LOWEST_ADDRESS);
  assembler.j('b', recorded);
  assembler.xor(low32(r9), low32(r9));
  emitOpen(assembler, VALUE, done, environment);
  assembler.jmp(recorded);
  assembler.bind(stream);
  emitOpenStream(assembler, done, environment);
  assembler.bind(recorded);
  assembler.add(OPENED, 1);
  assembler.jmp(next);
  assembler.bind(done);
}

/** Records the wrapper of a key as opened, of the row's type or the given one, with the handle in r9. Jumps to `full` where there is no room. */
function emitOpen(assembler: Assembler, key: Memory, full: Label, environment: HookEnvironment, type?: WrapperType): void {
  assembler.mov(rcx, key);
  assembler.call(environment.claimWrapper);
  assembler.test(r10, r10);
  assembler.j('e', full);
  assembler.mov(WRAPPER, r10);
  assembler.mov(rcx, r10);
  assembler.mov(rax, ROW);
  if (type === undefined) assembler.movzx8(rdx, at(rax, wrapperRow.opensType));
  else assembler.mov(low32(rdx), typeIndex(type));
  assembler.shl(low32(rdx), 16);
  assembler.or(low32(rdx), at(rax, wrapperRow.number));
  assembler.lea(r8, at(rsp, returnAddressOffset(frame)));
  assembler.call(environment.openWrapper);
}

/** Records the descriptor of the number in VALUE. */
function emitOpenDescriptor(assembler: Assembler, full: Label, environment: HookEnvironment): void {
  const [known] = assembler.labels('known');
  assembler.mov(rcx, VALUE);
  assembler.mov(low32(rcx), low32(rcx));
  assembler.mov(rdx, ROW);
  assembler.mov(rax, at(rdx, wrapperRow.descriptorKey));
  assembler.or(rax, rcx);
  assembler.mov(KEY, rax);
  assembler.call(at(rdx, wrapperRow.getOsfhandle));
  assembler.mov(r9, rax);
  assembler.test(rax, rax);
  assembler.j('ns', known);
  assembler.xor(low32(r9), low32(r9)); // -1: none, -2: a standard stream without one
  assembler.bind(known);
  emitOpen(assembler, KEY, full, environment, 'Descriptor');
}

/** Records the FILE in VALUE and, unless the call was given it, the descriptor of the FILE. */
function emitOpenStream(assembler: Assembler, full: Label, environment: HookEnvironment): void {
  const [open, isNew, linked] = assembler.labels('open', 'isNew', 'linked');
  assembler.mov(rcx, VALUE);
  assembler.mov(STREAM, rcx);
  assembler.movImmediate64(WRAPPER, 0);
  assembler.mov(rdx, ROW);
  assembler.call(at(rdx, wrapperRow.fileno));
  assembler.test(low32(rax), low32(rax));
  assembler.j('s', open);
  assembler.mov(VALUE, rax);
  assembler.mov(rdx, ROW);
  assembler.movzx8(rcx, at(rdx, wrapperRow.usesType));
  assembler.test(low32(rcx), low32(rcx));
  assembler.j('e', isNew);
  assembler.mov(low32(rax), low32(rax));
  assembler.or(rax, at(rdx, wrapperRow.descriptorKey));
  assembler.call(environment.findWrapper);
  assembler.test(r10, r10);
  assembler.j('e', isNew);
  assembler.mov(WRAPPER, r10);
  assembler.mov(rax, at(r10, slot.state));
  assembler.test(low32(rax), 1);
  assembler.j('ne', open);
  assembler.bind(isNew);
  emitOpenDescriptor(assembler, open, environment);
  assembler.bind(open);

  assembler.mov(rax, WRAPPER);
  assembler.mov(KEY, rax);
  assembler.xor(low32(r9), low32(r9));
  assembler.test(rax, rax);
  const noDescriptor = assembler.label('noDescriptor');
  assembler.j('e', noDescriptor);
  assembler.mov(r9, at(rax, wrapper.handle));
  assembler.bind(noDescriptor);
  emitOpen(assembler, STREAM, full, environment);
  assembler.mov(rax, KEY);
  assembler.test(rax, rax);
  assembler.j('e', linked);
  assembler.mov(low32(r8), at(rax, wrapper.key));
  emitWrapperIndex(assembler, rax, environment);
  assembler.mov(rdx, WRAPPER);
  assembler.mov(at(rdx, wrapper.descriptor), low32(rax));
  assembler.mov(at(rdx, wrapper.descriptorNumber), low32(r8));
  assembler.bind(linked);
}
