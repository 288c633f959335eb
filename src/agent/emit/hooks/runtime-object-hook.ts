import type { RuntimeObjectType } from '../../tables/function-table.ts';
import { typeIndex } from '../../tables/object-types.ts';
import { DESCRIPTOR_KEY, misuse, MISUSE_CLOSE, MISUSE_USE, runtimeObject, slot } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label, type Memory } from '../../asm/operands.ts';
import { eax, ecx, edx, r10, r11, r8, r8d, r9, r9d, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { type FramedFunction, framedFunction, type FrameShape, returnAddressOffset } from '../walk/unwind-info.ts';
import { emitRuntimeObjectAddress, emitRuntimeObjectIndex, emitUnlink } from '../recorder/runtime-objects.ts';
import { type HookEnvironment, STATUS_INVALID_HANDLE } from './hook-frame.ts';
import { INT, NEGATIVE, openedFrom, POSITIVE, runtimeObjectRow, ZERO } from '../runtime-object-row.ts';

/*
 * One hook for all functions that open, close or work on runtime objects, and a row of data for each of them that says what it does.
 *
 * Whether a runtime object is closed is looked up before the call, for a library may end the process over a closed one. That this is no mistake of
 * ours is certain: of what is being opened again at this moment nobody can know yet, as every function that could have told is hooked. The
 * misuse counts when the call fails, or does not come back.
 *
 * What a library does inside of itself is not the program's doing: a call from its own module passes through.
 */

/**
 * Home space and the stack arguments of the widest function (FindFirstFileTransacted has three), then places of our
 * own.
 */
const STACK_ARGUMENTS = 4;
const PLACES = 0x20 + STACK_ARGUMENTS * 8;
const frame: FrameShape = { pushes: [], sizeBytes: PLACES + 15 * 8 };
const place = (index: number): Memory => at(rsp, PLACES + index * 8);
const argumentRegisters = [rcx, rdx, r8, r9] as const;
/** Nothing of a process lies below. */
const LOWEST_ADDRESS = 0x1_0000;
/**
 * Where all of the caller's arguments lie in a row, once those in registers are saved to the home space that the caller
 * left for them.
 */
const ARGUMENTS = returnAddressOffset(frame) + 8;
const ROW = place(0);
const TRAMPOLINE = place(1);
const RESULT = place(2);
/** Record of a misuse whose call has not come back; 0: none. */
const PENDING = place(3);
/** The runtime object that the call closes, and its state before; 0: none. */
const CLOSING = place(4);
const CLOSING_STATE = place(5);
/** Of a FILE that the call closes: its descriptor's. */
const DESCRIPTOR = place(6);
const DESCRIPTOR_STATE = place(7);
/** Not 0 when the call has failed. */
const FAILED = place(8);
/** Of what the call has opened: its place in the row of them. */
const OPENED = place(9);
/** What is being recorded as opened: its value and key, its runtime object, and of a FILE the address. */
const VALUE = place(10);
const KEY = place(11);
const RUNTIME_OBJECT = place(12);
const STREAM = place(13);

/** Emits the hook, entered by a jump from a thunk with the caller's arguments and stack. */
export function emitRuntimeObjectHook(asm: Assembler, begin: Label, environment: HookEnvironment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [passThrough, done] = asm.labels('passThrough', 'done');
    argumentRegisters.forEach((register, index) => asm.mov(at(rsp, ARGUMENTS + index * 8), register));
    asm.mov(TRAMPOLINE, r11);
    asm.movImmediate64(ROW, 0);
    asm.mov(rax, at(rsp, returnAddressOffset(frame)));
    asm.sub(rax, at(r10, runtimeObjectRow.moduleBase));
    asm.cmp(rax, at(r10, runtimeObjectRow.moduleSize));
    asm.j('b', passThrough);
    asm.mov(ROW, r10);
    for (const memory of [PENDING, CLOSING, DESCRIPTOR]) asm.movImmediate64(memory, 0);
    emitBeforeUse(asm, environment);
    emitBeforeClose(asm, environment);

    asm.bind(passThrough);
    for (let index = 0; index < STACK_ARGUMENTS; index++) {
      asm.mov(rax, at(rsp, ARGUMENTS + (4 + index) * 8));
      asm.mov(at(rsp, 0x20 + index * 8), rax);
    }
    argumentRegisters.forEach((register, index) => asm.mov(register, at(rsp, ARGUMENTS + index * 8)));
    asm.call(TRAMPOLINE);
    asm.mov(RESULT, rax);
    asm.cmp(ROW, 0);
    asm.j('e', done);
    emitJudgeResult(asm);
    emitSettleMisuse(asm);
    // What took the place of something is open at any moment: closes come last, and find it opened anew.
    emitRecordOpens(asm, environment);
    emitRecordCloses(asm, environment);
    asm.bind(done);
    asm.mov(rax, RESULT);
    epilogue();
  });
}

/**
 * `rax = key, r10 = runtimeObject` of the argument that the row names; jumps to `none` without one. Clobbers rcx, rdx, r11.
 */
function emitFindArgument(asm: Assembler, typeAt: number, none: Label, environment: HookEnvironment): void {
  const address = asm.label('address');
  asm.mov(rdx, ROW);
  asm.movzx8(rax, at(rdx, typeAt));
  asm.test(eax, eax);
  asm.j('e', none);
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.movzx8(rcx, at(rdx, typeAt + 1)); // a mov keeps the flags
  asm.mov(rax, indexed(rsp, rcx, 8, ARGUMENTS));
  asm.j('ne', address);
  asm.mov(eax, eax);
  asm.or(rax, at(rdx, runtimeObjectRow.descriptorKey));
  asm.bind(address);
  asm.call(environment.findRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', none);
}

/** Jumps to `otherwise` unless the runtime object at r10 was open once and is closed. Clobbers rcx. */
function emitUnlessClosed(asm: Assembler, otherwise: Label): void {
  asm.mov(rcx, at(r10, slot.state));
  asm.test(rcx, rcx);
  asm.j('e', otherwise);
  asm.test(ecx, 1);
  asm.j('ne', otherwise);
}

/** The runtime object at r10 is closed: notes the misuse, which is not counted before the call's end. */
function emitPend(asm: Assembler, kind: typeof MISUSE_CLOSE | typeof MISUSE_USE, environment: HookEnvironment): void {
  const [noted, address] = asm.labels('noted', 'address');
  asm.cmp(PENDING, 0);
  asm.j('ne', noted); // one misuse a call
  asm.mov(rcx, at(r10, runtimeObject.key));
  asm.mov(rax, rcx);
  asm.shr(rax, Math.log2(Number(DESCRIPTOR_KEY)));
  asm.j('e', address);
  asm.mov(ecx, ecx); // the number alone
  asm.bind(address);
  asm.mov(rdx, ROW);
  asm.mov(edx, at(rdx, runtimeObjectRow.number));
  asm.or(edx, kind << 16);
  asm.lea(r8, at(rsp, returnAddressOffset(frame)));
  asm.mov(r9d, STATUS_INVALID_HANDLE);
  asm.call(environment.internMisuse);
  asm.mov(PENDING, rax);
  asm.test(rax, rax);
  asm.j('e', noted);
  asm.lockInc32(at(rax, misuse.pending));
  asm.bind(noted);
}

/** A closed runtime object is about to be used. */
function emitBeforeUse(asm: Assembler, environment: HookEnvironment): void {
  const [done] = asm.labels('done');
  emitFindArgument(asm, runtimeObjectRow.usesType, done, environment);
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_USE, environment);
  asm.bind(done);
}

/** A runtime object is about to be closed, or replaced. */
function emitBeforeClose(asm: Assembler, environment: HookEnvironment): void {
  const [open, stranger, done] = asm.labels('open', 'stranger', 'done');
  emitFindArgument(asm, runtimeObjectRow.closesType, done, environment);
  asm.mov(rcx, at(r10, slot.state));
  asm.test(ecx, 1);
  asm.j('ne', open);
  emitUnlessClosed(asm, done);
  asm.mov(rdx, ROW);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.replaces));
  asm.test(eax, eax);
  asm.j('ne', done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.jmp(done);

  asm.bind(open);
  asm.mov(CLOSING, r10);
  asm.mov(CLOSING_STATE, rcx);
  emitUnlink(asm, environment);
  emitRuntimeObjectAddress(asm, rax, at(r10, runtimeObject.descriptor), done, environment);
  asm.mov(rdx, ROW);
  asm.mov(ecx, at(r10, runtimeObject.descriptorNumber));
  asm.or(rcx, at(rdx, runtimeObjectRow.descriptorKey));
  asm.mov(r10, rax);
  asm.cmp(rcx, at(r10, runtimeObject.key));
  asm.j('ne', done); // its place has been given to another key
  asm.mov(rcx, at(r10, slot.state));
  asm.test(ecx, 1);
  asm.j('e', stranger);
  asm.mov(DESCRIPTOR, r10);
  asm.mov(DESCRIPTOR_STATE, rcx);
  emitUnlink(asm, environment);
  asm.jmp(done);
  asm.bind(stranger); // _close was given the FILE's descriptor, and the FILE is going to close it again
  emitUnlessClosed(asm, done);
  emitPend(asm, MISUSE_CLOSE, environment);
  asm.bind(done);
}

/** Whether the call has failed, by its result in rax. Clobbers rcx, rdx. */
function emitJudgeResult(asm: Assembler): void {
  const [wide, judged] = asm.labels('wide', 'judged');
  asm.mov(rdx, ROW);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.failure));
  asm.test(ecx, INT);
  asm.j('e', wide);
  asm.movsxd(rax, eax);
  asm.bind(wide);
  asm.test(rax, rax);
  asm.mov(edx, NEGATIVE); // a mov keeps the flags
  asm.j('s', judged);
  asm.mov(edx, ZERO);
  asm.j('e', judged);
  asm.mov(edx, POSITIVE);
  asm.bind(judged);
  asm.and(edx, ecx);
  asm.mov(FAILED, rdx);
}

/** The call has come back: its misuse counts if the call failed, or could not have said so. */
function emitSettleMisuse(asm: Assembler): void {
  const [counts, done] = asm.labels('counts', 'done');
  asm.mov(rax, PENDING);
  asm.test(rax, rax);
  asm.j('e', done);
  asm.lockDec32(at(rax, misuse.pending));
  asm.cmp(FAILED, 0);
  asm.j('ne', counts);
  asm.mov(rdx, ROW);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.failure));
  asm.test(ecx, ecx);
  asm.j('ne', done);
  asm.bind(counts);
  asm.lockInc32(at(rax, misuse.count));
  asm.bind(done);
}

/**
 * Libraries give up what they close even when its handle cannot be closed; some functions leave it as it was when they
 * fail.
 */
function emitRecordCloses(asm: Assembler, environment: HookEnvironment): void {
  const [record, done] = asm.labels('record', 'done');
  const close = (memory: Memory, state: Memory) => {
    asm.mov(rcx, memory);
    asm.test(rcx, rcx);
    asm.j('e', done);
    asm.mov(rdx, state);
    asm.lea(r8, at(rsp, returnAddressOffset(frame)));
    asm.mov(rax, ROW);
    asm.mov(r9d, at(rax, runtimeObjectRow.number));
    asm.call(environment.closeRuntimeObject);
  };
  asm.cmp(FAILED, 0);
  asm.j('e', record);
  asm.mov(rdx, ROW);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.keepsOnFailure));
  asm.test(eax, eax);
  asm.j('ne', done);
  asm.bind(record);
  close(CLOSING, CLOSING_STATE);
  close(DESCRIPTOR, DESCRIPTOR_STATE);
  asm.bind(done);
}

/** Records what the call has opened. */
function emitRecordOpens(asm: Assembler, environment: HookEnvironment): void {
  const [next, stored, pointer, have, stream, search, recorded, done] = asm.labels(
    'next',
    'stored',
    'pointer',
    'have',
    'stream',
    'search',
    'recorded',
    'done',
  );
  asm.cmp(FAILED, 0);
  asm.j('ne', done);
  asm.movImmediate64(OPENED, 0);

  asm.bind(next);
  asm.mov(rdx, ROW);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensCount));
  asm.cmp(OPENED, rax);
  asm.j('ae', done);
  asm.mov(rcx, RESULT);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensFrom));
  asm.cmp(eax, openedFrom.indexOf('stored-at'));
  asm.j('b', have);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.opensArgument));
  asm.mov(rcx, indexed(rsp, rcx, 8, ARGUMENTS));
  asm.j('e', stored);
  asm.jmp(have); // the argument is the number itself
  asm.bind(stored);
  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensType));
  asm.cmp(eax, typeIndex('Descriptor'));
  asm.j('ne', pointer);
  asm.mov(rax, OPENED);
  asm.mov(ecx, indexed(rcx, rax, 4)); // int
  asm.jmp(have);
  asm.bind(pointer);
  asm.mov(rcx, at(rcx)); // FILE *
  asm.bind(have);
  asm.mov(VALUE, rcx);

  asm.movzx8(rax, at(rdx, runtimeObjectRow.opensType));
  asm.cmp(eax, typeIndex('FILE'));
  asm.j('e', stream);
  asm.cmp(eax, typeIndex('Search'));
  asm.j('e', search);
  emitOpenDescriptor(asm, recorded, environment);
  asm.jmp(recorded);
  asm.bind(search);
  // Of a device (`NUL`) FindFirstFile gives a constant, which is no search of its own.
  asm.cmp(VALUE, LOWEST_ADDRESS);
  asm.j('b', recorded);
  asm.xor(r9d, r9d);
  emitOpen(asm, VALUE, done, environment);
  asm.jmp(recorded);
  asm.bind(stream);
  emitOpenStream(asm, done, environment);
  asm.bind(recorded);
  asm.add(OPENED, 1);
  asm.jmp(next);
  asm.bind(done);
}

/**
 * Records the runtime object of a key as opened, of the row's type or the given one, with the handle in r9. Jumps to `full`
 * where there is no room.
 */
function emitOpen(
  asm: Assembler,
  key: Memory,
  full: Label,
  environment: HookEnvironment,
  type?: RuntimeObjectType,
): void {
  asm.mov(rcx, key);
  asm.call(environment.claimRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', full);
  asm.mov(RUNTIME_OBJECT, r10);
  asm.mov(rcx, r10);
  asm.mov(rax, ROW);
  if (type === undefined) asm.movzx8(rdx, at(rax, runtimeObjectRow.opensType));
  else asm.mov(edx, typeIndex(type));
  asm.shl(edx, 16);
  asm.or(edx, at(rax, runtimeObjectRow.number));
  asm.lea(r8, at(rsp, returnAddressOffset(frame)));
  asm.call(environment.openRuntimeObject);
}

/** Records the descriptor of the number in VALUE. */
function emitOpenDescriptor(asm: Assembler, full: Label, environment: HookEnvironment): void {
  const [known] = asm.labels('known');
  asm.mov(rcx, VALUE);
  asm.mov(ecx, ecx);
  asm.mov(rdx, ROW);
  asm.mov(rax, at(rdx, runtimeObjectRow.descriptorKey));
  asm.or(rax, rcx);
  asm.mov(KEY, rax);
  asm.call(at(rdx, runtimeObjectRow.getOsfhandle));
  asm.mov(r9, rax);
  asm.test(rax, rax);
  asm.j('ns', known);
  asm.xor(r9d, r9d); // -1: none, -2: a standard stream without one
  asm.bind(known);
  emitOpen(asm, KEY, full, environment, 'Descriptor');
}

/** Records the FILE in VALUE and, unless the call was given it, the descriptor of the FILE. */
function emitOpenStream(asm: Assembler, full: Label, environment: HookEnvironment): void {
  const [open, isNew, linked] = asm.labels('open', 'isNew', 'linked');
  asm.mov(rcx, VALUE);
  asm.mov(STREAM, rcx);
  asm.movImmediate64(RUNTIME_OBJECT, 0);
  asm.mov(rdx, ROW);
  asm.call(at(rdx, runtimeObjectRow.fileno));
  asm.test(eax, eax);
  asm.j('s', open);
  asm.mov(VALUE, rax);
  asm.mov(rdx, ROW);
  asm.movzx8(rcx, at(rdx, runtimeObjectRow.usesType));
  asm.test(ecx, ecx);
  asm.j('e', isNew);
  asm.mov(eax, eax);
  asm.or(rax, at(rdx, runtimeObjectRow.descriptorKey));
  asm.call(environment.findRuntimeObject);
  asm.test(r10, r10);
  asm.j('e', isNew);
  asm.mov(RUNTIME_OBJECT, r10);
  asm.mov(rax, at(r10, slot.state));
  asm.test(eax, 1);
  asm.j('ne', open);
  asm.bind(isNew);
  emitOpenDescriptor(asm, open, environment);
  asm.bind(open);

  asm.mov(rax, RUNTIME_OBJECT);
  asm.mov(KEY, rax);
  asm.xor(r9d, r9d);
  asm.test(rax, rax);
  const noDescriptor = asm.label('noDescriptor');
  asm.j('e', noDescriptor);
  asm.mov(r9, at(rax, runtimeObject.handle));
  asm.bind(noDescriptor);
  emitOpen(asm, STREAM, full, environment);
  asm.mov(rax, KEY);
  asm.test(rax, rax);
  asm.j('e', linked);
  asm.mov(r8d, at(rax, runtimeObject.key));
  emitRuntimeObjectIndex(asm, rax, environment);
  asm.mov(rdx, RUNTIME_OBJECT);
  asm.mov(at(rdx, runtimeObject.descriptor), eax);
  asm.mov(at(rdx, runtimeObject.descriptorNumber), r8d);
  asm.bind(linked);
}
