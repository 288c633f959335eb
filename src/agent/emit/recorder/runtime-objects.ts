import {
  header,
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_HASH_BITS,
  RUNTIME_OBJECT_PROBE_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
  slot,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import {
  eax,
  edx,
  low32,
  r10,
  r10d,
  r11,
  r11d,
  r8,
  r9,
  rax,
  rcx,
  rdx,
  type Register,
  rsp,
} from '../../asm/registers.ts';
import { HASH_MULTIPLIER } from '../walk/stack-walk.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../walk/unwind-info.ts';
import { emitSlotAddress, emitWriteClosing, emitWriteOpening, type RecorderEnvironment } from './recorder.ts';

/*
 * Runtime objects: what a library hands out in place of a handle (a descriptor, a FILE, a search), found by what the program knows it by.
 *
 * Their table is a hash table in the ledger. A key keeps its place for good, and its life goes on there when it is given out again, as that
 * of a handle's value does in its slot. Only where there is no room does a new key take the place of one that is closed.
 */

type Environment = Pick<RecorderEnvironment, 'linkSlots' | 'captureStack'>;

/** `target` becomes the address of the first place where a key may lie. */
function emitFirstPlace(asm: Assembler, key: Register, target: Register, { linkSlots }: Environment): void {
  asm.mov(target, HASH_MULTIPLIER);
  asm.imul(target, key);
  asm.shr(target, 64 - RUNTIME_OBJECT_HASH_BITS);
  asm.shl(target, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.add(target, linkSlots.runtimeObjects);
}

/**
 * Emits `r10 = void* findRuntimeObject(rax = u64 key)`: NULL if it was never seen. A leaf function; keeps all but r10 and
 * r11.
 */
export function emitFindRuntimeObject(asm: Assembler, begin: Label, environment: Environment): void {
  const [next, none, found] = asm.labels('next', 'none', 'found');
  asm.align(16);
  asm.bind(begin);
  emitFirstPlace(asm, rax, r10, environment);
  asm.lea(r11, at(r10, RUNTIME_OBJECT_PROBE_COUNT * RUNTIME_OBJECT_SIZE_BYTES));
  asm.bind(next);
  asm.cmp(at(r10, runtimeObject.key), rax);
  asm.j('e', found);
  asm.cmp(at(r10, runtimeObject.key), 0);
  asm.j('e', none);
  asm.add(r10, RUNTIME_OBJECT_SIZE_BYTES);
  asm.cmp(r10, r11);
  asm.j('b', next);
  asm.bind(none);
  asm.xor(r10d, r10d);
  asm.bind(found);
  asm.ret();
}

/**
 * Emits `r10 = void* claimRuntimeObject(rcx = u64 key)`: finds the place of a key or gives it one; NULL where there is no
 * room. A leaf function.
 */
export function emitClaimRuntimeObject(asm: Assembler, begin: Label, environment: Environment): void {
  const [next, advance, evict, advanceEviction, found] = asm.labels(
    'next',
    'advance',
    'evict',
    'advanceEviction',
    'found',
  );
  asm.align(16);
  asm.bind(begin);
  emitFirstPlace(asm, rcx, r10, environment);
  asm.lea(r11, at(r10, RUNTIME_OBJECT_PROBE_COUNT * RUNTIME_OBJECT_SIZE_BYTES));
  asm.bind(next);
  asm.mov(rax, at(r10, runtimeObject.key));
  asm.cmp(rax, rcx);
  asm.j('e', found);
  asm.test(rax, rax);
  asm.j('ne', advance);
  asm.lockCmpxchg(at(r10, runtimeObject.key), rcx);
  asm.j('e', found);
  asm.cmp(rax, rcx);
  asm.j('e', found);
  asm.bind(advance);
  asm.add(r10, RUNTIME_OBJECT_SIZE_BYTES);
  asm.cmp(r10, r11);
  asm.j('b', next);

  asm.sub(r10, RUNTIME_OBJECT_PROBE_COUNT * RUNTIME_OBJECT_SIZE_BYTES);
  asm.bind(evict);
  asm.mov(rax, at(r10, runtimeObject.key));
  asm.mov(rdx, at(r10, slot.state));
  asm.test(rdx, rdx);
  asm.j('e', advanceEviction); // another thread has just been given it
  asm.test(edx, 1);
  asm.j('ne', advanceEviction);
  asm.lockCmpxchg(at(r10, runtimeObject.key), rcx);
  asm.j('ne', advanceEviction);
  asm.movImmediate64(at(r10, slot.state), 0);
  asm.bind(found);
  asm.ret();
  asm.bind(advanceEviction);
  asm.add(r10, RUNTIME_OBJECT_SIZE_BYTES);
  asm.cmp(r10, r11);
  asm.j('b', evict);
  asm.mov(rax, environment.linkSlots.ledger);
  asm.lockInc32(at(rax, header.droppedRuntimeObjects));
  asm.xor(r10d, r10d);
  asm.ret();
}

const frame: FrameShape = { pushes: [], sizeBytes: 0x48 };
const save = [at(rsp, 0x20), at(rsp, 0x28), at(rsp, 0x30), at(rsp, 0x38)] as const;

/**
 * Emits `void openRuntimeObject(void* runtimeObject, u32 row | type << 16, u64* returnAddress, HANDLE handle)`; the handle may be
 * NULL: unknown.
 */
export function emitOpenRuntimeObject(asm: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [unlinked] = asm.labels('unlinked');
    asm.mov(save[0], rcx);
    asm.mov(save[1], rdx);
    asm.mov(save[2], r9);
    asm.mov(rcx, r8);
    asm.call(environment.captureStack);
    asm.mov(rcx, save[0]);
    asm.mov(r9, save[2]);
    asm.mov(at(rcx, runtimeObject.handle), r9);
    asm.movImmediate64(at(rcx, runtimeObject.descriptor), 0);
    asm.mov(r8, at(rcx, slot.state));
    emitWriteOpening(asm, save[1]);

    // Its handle's slot names it, unless another thread has closed the handle meanwhile.
    asm.mov(r10, r9);
    asm.test(r10, r10);
    asm.j('e', unlinked);
    emitSlotAddress(asm, r10, unlinked, environment);
    asm.mov(rax, at(r10, slot.state));
    asm.test(eax, 1);
    asm.j('e', unlinked);
    asm.mov(rax, rcx);
    emitRuntimeObjectIndex(asm, rax, environment);
    asm.mov(at(r10, slot.runtimeObject), eax);
    asm.bind(unlinked);
    epilogue();
  });
}

/** The address of a runtime object in `register` becomes its index plus 1. */
export function emitRuntimeObjectIndex(asm: Assembler, register: Register, { linkSlots }: Environment): void {
  asm.sub(register, linkSlots.runtimeObjects);
  asm.shr(register, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.add(register, 1);
}

/** `target` becomes the address of the runtime object whose index plus 1 is there; jumps to `none` for none. */
export function emitRuntimeObjectAddress(
  asm: Assembler,
  target: Register,
  index: Memory,
  none: Label,
  { linkSlots }: Environment,
): void {
  asm.mov(low32(target), index);
  asm.sub(low32(target), 1);
  asm.cmp(low32(target), RUNTIME_OBJECT_COUNT);
  asm.j('ae', none);
  asm.shl(target, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.add(target, linkSlots.runtimeObjects);
}

/**
 * Emits `void closeRuntimeObject(void* runtimeObject, u64 state before the call, u64* returnAddress, u32 row)`; it was open then.
 */
export function emitCloseRuntimeObject(asm: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [done] = asm.labels('done');
    asm.mov(rax, rdx);
    asm.sub(rdx, 1); // the same generation, closed
    asm.lockCmpxchg(at(rcx, slot.state), rdx);
    asm.j('ne', done); // it has been given out again already
    emitWriteClosing(asm, rdx, save, environment);
    asm.bind(done);
    epilogue();
  });
}

/**
 * Takes the name of the runtime object at r10 off its handle's slot: a library is about to close the handle as it should be
 * closed. What has been closed beneath it keeps the name, which tells what the library's own close is refused for.
 * Clobbers rax, rcx, r11.
 */
export function emitUnlink(asm: Assembler, environment: Environment): void {
  const [done] = asm.labels('done');
  asm.mov(rcx, at(r10, runtimeObject.handle));
  asm.test(rcx, rcx);
  asm.j('e', done);
  emitSlotAddress(asm, rcx, done, environment);
  asm.mov(r11, at(rcx, slot.state));
  asm.test(r11d, 1);
  asm.j('e', done);
  asm.mov(rax, r10);
  emitRuntimeObjectIndex(asm, rax, environment);
  asm.cmp(eax, at(rcx, slot.runtimeObject));
  asm.j('ne', done);
  asm.movImmediate32(at(rcx, slot.runtimeObject), 0);
  asm.bind(done);
}
