import { standaloneType } from '../../tables/function-table.ts';
import { typeIndex } from '../../tables/object-types.ts';
import { header, slot } from '../../ledger/layout.ts';
import {
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_HASH_BITS,
  RUNTIME_OBJECT_PROBE_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
} from '../../ledger/runtime-object.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, edx, low32, r10, r10d, r11, r11d, r8, r9, rax, rcx, rdx, type Register } from '../../asm/registers.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { HASH_MULTIPLIER } from '../walk/stack-hash.ts';
import type { RecorderEnvironment } from './recorder-environment.ts';
import { emitLearnClosing, emitWriteClosing, emitWriteOpening } from './recorder.ts';
import { emitSlotAddress, type SlotEnvironment } from './slot-address.ts';

/*
 * Runtime objects are what a library hands out in place of a handle: a descriptor, a FILE, a search, a pseudo console.
 *
 * They lie in a hash table in the ledger, by the value with which the program names them. A key keeps its entry for
 * good. When the library gives the value out again, the entry's life goes on, as that of a handle value does in its
 * slot. A new key takes the entry of a closed one only where there is no room.
 */

type Environment = Pick<RecorderEnvironment, 'linkSlots' | 'grown' | 'ntdllImport' | 'captureStack'>;

/** `target` becomes the address of the first entry that a key may have. */
function emitFirstEntry(asm: Assembler, key: Register, target: Register, { linkSlots }: Environment): void {
  asm.mov(target, HASH_MULTIPLIER);
  asm.imul(target, key);
  asm.shr(target, 64 - RUNTIME_OBJECT_HASH_BITS);
  asm.shl(target, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.add(target, linkSlots.runtimeObjects);
}

/**
 * Emits `r10 = void* findRuntimeObject(rax = u64 key)`: the entry of a key, or NULL if the key was never seen. A leaf
 * function; keeps all but r10 and r11.
 */
export function emitFindRuntimeObject(asm: Assembler, begin: Label, environment: Environment): void {
  const [next, none, found] = asm.labels('next', 'none', 'found');
  asm.align(16);
  asm.bind(begin);
  emitFirstEntry(asm, rax, r10, environment);
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
 * Emits `r10 = void* claimRuntimeObject(rcx = u64 key)`: finds the entry of a key or gives it one; NULL where there is
 * no room. A leaf function.
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
  emitFirstEntry(asm, rcx, r10, environment);
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
  asm.j('e', advanceEviction); // another thread has just claimed it
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
const opening = framePlaces(frame, 0x20, 'object', 'rowAndType', 'handle');
const closing = framePlaces(frame, 0x20, 'slot', 'state', 'row');

/**
 * Emits `void openRuntimeObject(void* runtimeObject, u32 row | type << 16, u64* returnAddress, HANDLE handle)`: records
 * an opening. The handle may be NULL: unknown.
 */
export function emitOpenRuntimeObject(asm: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [unlinked] = asm.labels('unlinked');
    asm.mov(opening.object, rcx);
    asm.mov(opening.rowAndType, rdx);
    asm.mov(opening.handle, r9);
    asm.mov(rcx, r8);
    asm.shr(edx, 16); // the type
    asm.call(environment.captureStack);
    asm.mov(rcx, opening.object);
    asm.mov(r9, opening.handle);
    asm.mov(at(rcx, runtimeObject.handle), r9);
    asm.movImmediate64(at(rcx, runtimeObject.descriptor), 0);
    asm.mov(r8, at(rcx, slot.state));
    emitWriteOpening(asm, opening.rowAndType, environment);

    // The slot of its handle names it, unless another thread has closed the handle meanwhile.
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
  const index32 = low32(target);
  asm.mov(index32, index);
  asm.sub(index32, 1);
  asm.cmp(index32, RUNTIME_OBJECT_COUNT);
  asm.j('ae', none);
  asm.shl(target, Math.log2(RUNTIME_OBJECT_SIZE_BYTES));
  asm.add(target, linkSlots.runtimeObjects);
}

/**
 * Emits `void closeRuntimeObject(void* runtimeObject, u64 state before the call, u64* returnAddress, u32 row)`: records
 * a close; the state says that it was open.
 */
export function emitCloseRuntimeObject(asm: Assembler, begin: Label, environment: Environment): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [done] = asm.labels('done');
    asm.mov(rax, rdx);
    asm.sub(rdx, 1); // the same generation, closed
    asm.lockCmpxchg(at(rcx, slot.state), rdx);
    asm.j('ne', done); // the library has given it out again already
    emitWriteClosing(asm, rdx, closing, environment);
    // For the others the opening stack of the handle beneath learns it.
    asm.movzx16(rax, at(rcx, slot.objectType));
    asm.cmp(eax, typeIndex(standaloneType));
    asm.j('ne', done);
    emitLearnClosing(asm, done, environment);
    asm.bind(done);
    epilogue();
  });
}

/**
 * Loads the slot of the open handle beneath the runtime object at r10: `rcx = slot*`. Jumps to `none` where no handle
 * is known, or it is closed. Clobbers r11.
 */
export function emitSlotBeneath(asm: Assembler, none: Label, environment: SlotEnvironment): void {
  asm.mov(rcx, at(r10, runtimeObject.handle));
  asm.test(rcx, rcx);
  asm.j('e', none);
  emitSlotAddress(asm, rcx, none, environment);
  asm.mov(r11, at(rcx, slot.state));
  asm.test(r11d, 1);
  asm.j('e', none);
}

/**
 * Removes the runtime object at r10 from its handle's slot: a library is about to close the handle in the proper way. A
 * handle that was closed beneath its library keeps the name, which explains why the library's own close is refused.
 * Clobbers rax, rcx, r11.
 */
export function emitUnlink(asm: Assembler, environment: Environment): void {
  const [done] = asm.labels('done');
  emitSlotBeneath(asm, done, environment);
  asm.mov(rax, r10);
  emitRuntimeObjectIndex(asm, rax, environment);
  asm.cmp(eax, at(rcx, slot.runtimeObject));
  asm.j('ne', done);
  asm.movImmediate32(at(rcx, slot.runtimeObject), 0);
  asm.bind(done);
}
