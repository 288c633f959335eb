import { functionModules, functionTable } from '../../tables/function-table.ts';
import { GIVEN_TO_WRONG_CLOSER, slot } from '../../ledger/layout.ts';
import {
  DESCRIPTOR_COUNT_MAX,
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
} from '../../ledger/runtime-object.ts';
import { MISUSE_WRONG_CLOSER } from '../../ledger/misuse.ts';
import { descriptorKey } from '../../linkage/runtime-object-row.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r11d, rax, rcx, type Register, rsp } from '../../asm/registers.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { emitSlotBeneath } from './runtime-objects.ts';

/*
 * A stranger is an open object that a program gives to a function for another kind of object: a descriptor to
 * CloseHandle, a handle to _close. A closing function that knows nothing of its argument looks for one here.
 */

/** Addresses of user space fit in so many bits. */
export const USER_ADDRESS_BITS = 47;

/** Numbers of all C runtimes whose descriptors are followed. */
const descriptorKeys = functionModules
  .filter((name) =>
    functionTable.some(
      (row) => row.kind === 'runtime-object' && row.module === name && row.opens?.type === 'Descriptor',
    ),
  )
  .map(descriptorKey);

const frame: FrameShape = { pushes: [], sizeBytes: 0x38 };
const kept = at(rsp, 0x20);
const record = at(rsp, 0x28);

/**
 * Emits `r10 = void* findStranger(rax = u64 value)`: the open descriptor of any C runtime that has the number, or the
 * open FILE or search at the address; NULL for none. 0 finds nothing, because it means NULL far more often than the
 * descriptor of that number.
 * Keeps all but r10 and r11.
 */
export function emitFindStranger(
  asm: Assembler,
  begin: Label,
  { findRuntimeObject }: { readonly findRuntimeObject: Label },
): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [address, none, found] = asm.labels('address', 'none', 'found');
    asm.mov(kept, rax);
    asm.lea(r10, at(rax, -1));
    asm.cmp(r10, DESCRIPTOR_COUNT_MAX - 1);
    asm.j('ae', address);
    for (const key of descriptorKeys) {
      const next = asm.label('next');
      asm.mov(rax, key);
      asm.or(rax, kept);
      asm.call(findRuntimeObject);
      emitUnlessOpen(asm, next);
      asm.jmp(found);
      asm.bind(next);
    }
    asm.jmp(none);
    asm.bind(address);
    asm.mov(r10, rax);
    asm.shr(r10, USER_ADDRESS_BITS);
    asm.j('ne', none); // keys of other kinds lie there
    asm.call(findRuntimeObject);
    emitUnlessOpen(asm, none);
    asm.jmp(found);
    asm.bind(none);
    asm.xor(r10d, r10d);
    asm.bind(found);
    asm.mov(rax, kept);
    epilogue();
  });
}

/** Jumps to `otherwise` unless r10 is an open runtime object. Clobbers r11. */
function emitUnlessOpen(asm: Assembler, otherwise: Label): void {
  asm.test(r10, r10);
  asm.j('e', otherwise);
  asm.mov(r11, at(r10, slot.state));
  asm.test(r11d, 1);
  asm.j('e', otherwise);
}

/**
 * Emits `r10 = void* findTruncated(rax = u32 low half)`: the open FILE or search whose address was cut to an int; NULL
 * for none. It looks at every runtime object: a program that comes here is about to be refused. A leaf function;
 * clobbers rcx and r11.
 */
export function emitFindTruncated(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next, advance, found] = asm.labels('next', 'advance', 'found');
  asm.align(16);
  asm.bind(begin);
  asm.mov(r10, linkSlots.runtimeObjects);
  asm.lea(r11, at(r10, RUNTIME_OBJECT_COUNT * RUNTIME_OBJECT_SIZE_BYTES));
  asm.bind(next);
  asm.mov(rcx, at(r10, runtimeObject.key));
  asm.xor(rcx, rax);
  asm.shl(rcx, 32);
  asm.j('ne', advance);
  asm.mov(rcx, at(r10, runtimeObject.key));
  asm.shr(rcx, USER_ADDRESS_BITS);
  asm.j('ne', advance); // no address
  asm.mov(rcx, at(r10, slot.state));
  asm.and(rcx, 1);
  asm.j('ne', found);
  asm.bind(advance);
  asm.add(r10, RUNTIME_OBJECT_SIZE_BYTES);
  asm.cmp(r10, r11);
  asm.j('b', next);
  asm.xor(r10d, r10d);
  asm.bind(found);
  asm.ret();
}

/**
 * Emits `void* internWrongCloser(u64 value, u16 row, u64* returnAddress, u32 status, r10 = void* object)`: finds or
 * makes the record of a {@link MISUSE_WRONG_CLOSER} of an open object, which is a runtime object or the slot of a
 * handle, and returns the record's address, or NULL where there is no room. The object and the handle beneath it
 * remember that they were given away, because the leak that may follow is no second mistake.
 */
export function emitInternWrongCloser(
  asm: Assembler,
  begin: Label,
  environment: LinkedEnvironment & { readonly internMisuse: Label },
): FramedFunction {
  return framedFunction(asm, begin, frame, (epilogue) => {
    const done = asm.label('done');
    asm.mov(kept, r10);
    asm.and(edx, 0xffff);
    asm.or(edx, MISUSE_WRONG_CLOSER << 16);
    asm.call(environment.internMisuse);
    asm.mov(record, rax);
    asm.test(rax, rax);
    asm.j('e', done);
    asm.mov(r10, kept);
    emitMarkGiven(asm, r10);
    asm.cmp(r10, environment.linkSlots.slots); // they lie behind all runtime objects
    asm.j('ae', done);
    emitSlotBeneath(asm, done, environment);
    emitMarkGiven(asm, rcx);
    asm.bind(done);
    asm.mov(rax, record);
    epilogue();
  });
}

/** Marks the object whose slot is at `object`. A new opening that comes between is not marked. Clobbers rax, r11. */
function emitMarkGiven(asm: Assembler, object: Register): void {
  asm.mov(eax, at(object, slot.openedCall));
  asm.mov(r11d, eax);
  asm.or(r11d, GIVEN_TO_WRONG_CLOSER);
  asm.lockCmpxchg(at(object, slot.openedCall), r11d);
}

/** Takes the mark of a handle back whose closer was the right one after all. Clobbers rax, r11. */
export function emitUnmarkGiven(asm: Assembler, object: Register): void {
  asm.mov(eax, at(object, slot.openedCall));
  asm.mov(r11d, eax);
  asm.and(r11d, ~GIVEN_TO_WRONG_CLOSER);
  asm.lockCmpxchg(at(object, slot.openedCall), r11d);
}
