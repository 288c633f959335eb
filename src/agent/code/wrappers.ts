import {
  header, slot, WRAPPER_COUNT, WRAPPER_HASH_BITS, WRAPPER_PROBE_COUNT, WRAPPER_SIZE_BYTES, wrapper,
} from '../ledger-layout.ts'; // prettier-ignore
import { type Assembler, at, type Label, low32, type Memory, r10, r11, r8, r9, rax, rcx, rdx, type Register, rsp } from './assembler.ts';
import { emitSlotAddress, emitWriteClosing, emitWriteOpening, type RecorderEnvironment } from './recorder.ts';
import { HASH_MULTIPLIER } from './stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

/*
 * Wrappers: what a library hands out in place of a handle (a descriptor, a FILE, a search), found by what the program knows it by.
 *
 * Their table is a hash table in the ledger. A key keeps its place for good, and its life goes on there when it is given out again, as that
 * of a handle's value does in its slot. Only where there is no room does a new key take the place of one that is closed.
 */

type Environment = Pick<RecorderEnvironment, 'words' | 'captureStack'>;

/** `target` becomes the address of the first place where a key may lie. */
function emitFirstPlace(assembler: Assembler, key: Register, target: Register, { words }: Environment): void {
  assembler.mov(target, HASH_MULTIPLIER);
  assembler.imul(target, key);
  assembler.shr(target, 64 - WRAPPER_HASH_BITS);
  assembler.shl(target, Math.log2(WRAPPER_SIZE_BYTES));
  assembler.add(target, words.wrappers);
}

/** Emits `r10 = void* findWrapper(rax = u64 key)`: NULL if it was never seen. A leaf function; keeps all but r10 and r11. */
export function emitFindWrapper(assembler: Assembler, begin: Label, environment: Environment): void {
  const [next, none, found] = assembler.labels('next', 'none', 'found');
  assembler.align(16);
  assembler.bind(begin);
  emitFirstPlace(assembler, rax, r10, environment);
  assembler.lea(r11, at(r10, WRAPPER_PROBE_COUNT * WRAPPER_SIZE_BYTES));
  assembler.bind(next);
  assembler.cmp(at(r10, wrapper.key), rax);
  assembler.j('e', found);
  assembler.cmp(at(r10, wrapper.key), 0);
  assembler.j('e', none);
  assembler.add(r10, WRAPPER_SIZE_BYTES);
  assembler.cmp(r10, r11);
  assembler.j('b', next);
  assembler.bind(none);
  assembler.xor(low32(r10), low32(r10));
  assembler.bind(found);
  assembler.ret();
}

/** Emits `r10 = void* claimWrapper(rcx = u64 key)`: finds the place of a key or gives it one; NULL where there is no room. A leaf function. */
export function emitClaimWrapper(assembler: Assembler, begin: Label, environment: Environment): void {
  const [next, advance, evict, advanceEviction, found] = assembler.labels('next', 'advance', 'evict', 'advanceEviction', 'found');
  assembler.align(16);
  assembler.bind(begin);
  emitFirstPlace(assembler, rcx, r10, environment);
  assembler.lea(r11, at(r10, WRAPPER_PROBE_COUNT * WRAPPER_SIZE_BYTES));
  assembler.bind(next);
  assembler.mov(rax, at(r10, wrapper.key));
  assembler.cmp(rax, rcx);
  assembler.j('e', found);
  assembler.test(rax, rax);
  assembler.j('ne', advance);
  assembler.lockCmpxchg(at(r10, wrapper.key), rcx);
  assembler.j('e', found);
  assembler.cmp(rax, rcx);
  assembler.j('e', found);
  assembler.bind(advance);
  assembler.add(r10, WRAPPER_SIZE_BYTES);
  assembler.cmp(r10, r11);
  assembler.j('b', next);

  assembler.sub(r10, WRAPPER_PROBE_COUNT * WRAPPER_SIZE_BYTES);
  assembler.bind(evict);
  assembler.mov(rax, at(r10, wrapper.key));
  assembler.mov(rdx, at(r10, slot.state));
  assembler.test(rdx, rdx);
  assembler.j('e', advanceEviction); // another thread has just been given it
  assembler.test(low32(rdx), 1);
  assembler.j('ne', advanceEviction);
  assembler.lockCmpxchg(at(r10, wrapper.key), rcx);
  assembler.j('ne', advanceEviction);
  assembler.movImmediate64(at(r10, slot.state), 0);
  assembler.bind(found);
  assembler.ret();
  assembler.bind(advanceEviction);
  assembler.add(r10, WRAPPER_SIZE_BYTES);
  assembler.cmp(r10, r11);
  assembler.j('b', evict);
  assembler.mov(rax, environment.words.ledger);
  assembler.lockInc32(at(rax, header.droppedWrappers));
  assembler.xor(low32(r10), low32(r10));
  assembler.ret();
}

const frame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const save = [at(rsp, 0x20), at(rsp, 0x28), at(rsp, 0x30), at(rsp, 0x38)] as const;

/** Emits `void openWrapper(void* wrapper, u32 row | type << 16, u64* returnAddress, HANDLE handle)`; the handle may be NULL: unknown. */
export function emitOpenWrapper(assembler: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [unlinked] = assembler.labels('unlinked');
    assembler.mov(save[0], rcx);
    assembler.mov(save[1], rdx);
    assembler.mov(save[2], r9);
    assembler.mov(rcx, r8);
    assembler.call(environment.captureStack);
    assembler.mov(rcx, save[0]);
    assembler.mov(r9, save[2]);
    assembler.mov(at(rcx, wrapper.handle), r9);
    assembler.movImmediate64(at(rcx, wrapper.descriptor), 0);
    assembler.mov(r8, at(rcx, slot.state));
    emitWriteOpening(assembler, save[1]);

    // Its handle's slot names it, unless another thread has closed the handle meanwhile.
    assembler.mov(r10, r9);
    assembler.test(r10, r10);
    assembler.j('e', unlinked);
    emitSlotAddress(assembler, r10, unlinked, environment);
    assembler.mov(rax, at(r10, slot.state));
    assembler.test(low32(rax), 1);
    assembler.j('e', unlinked);
    assembler.mov(rax, rcx);
    emitWrapperIndex(assembler, rax, environment);
    assembler.mov(at(r10, slot.wrapper), low32(rax));
    assembler.bind(unlinked);
    epilogue();
  });
}

/** The address of a wrapper in `register` becomes its index plus 1. */
export function emitWrapperIndex(assembler: Assembler, register: Register, { words }: Environment): void {
  assembler.sub(register, words.wrappers);
  assembler.shr(register, Math.log2(WRAPPER_SIZE_BYTES));
  assembler.add(register, 1);
}

/** `target` becomes the address of the wrapper whose index plus 1 is there; jumps to `none` for none. */
export function emitWrapperAddress(assembler: Assembler, target: Register, index: Memory, none: Label, { words }: Environment): void {
  assembler.mov(low32(target), index);
  assembler.sub(low32(target), 1);
  assembler.cmp(low32(target), WRAPPER_COUNT);
  assembler.j('ae', none);
  assembler.shl(target, Math.log2(WRAPPER_SIZE_BYTES));
  assembler.add(target, words.wrappers);
}

/** Emits `void closeWrapper(void* wrapper, u64 state before the call, u64* returnAddress, u32 row)`; it was open then. */
export function emitCloseWrapper(assembler: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [done] = assembler.labels('done');
    assembler.mov(rax, rdx);
    assembler.sub(rdx, 1); // the same generation, closed
    assembler.lockCmpxchg(at(rcx, slot.state), rdx);
    assembler.j('ne', done); // it has been given out again already
    emitWriteClosing(assembler, rdx, save, environment);
    assembler.bind(done);
    epilogue();
  });
}

/**
 * Takes the name of the wrapper at r10 off its handle's slot: a library is about to close the handle as it should be closed. What has been
 * closed beneath it keeps the name, which tells what the library's own close is refused for. Clobbers rax, rcx, r11.
 */
export function emitUnlink(assembler: Assembler, environment: Environment): void {
  const [done] = assembler.labels('done');
  assembler.mov(rcx, at(r10, wrapper.handle));
  assembler.test(rcx, rcx);
  assembler.j('e', done);
  emitSlotAddress(assembler, rcx, done, environment);
  assembler.mov(r11, at(rcx, slot.state));
  assembler.test(low32(r11), 1);
  assembler.j('e', done);
  assembler.mov(rax, r10);
  emitWrapperIndex(assembler, rax, environment);
  assembler.cmp(low32(rax), at(rcx, slot.wrapper));
  assembler.j('ne', done);
  assembler.movImmediate32(at(rcx, slot.wrapper), 0);
  assembler.bind(done);
}
