import { EARLIER_LIVES_SLOT_COUNT } from '../../ledger/earlier-life.ts';
import { SLOT_SIZE_BYTES, STACK_POOL_SIZE_BYTES } from '../../ledger/layout.ts';
import { SLOT_CHUNK_COUNT, STACK_POOL_CHUNK_SIZE_BYTES, STACK_POOL_SPARE_BYTES } from '../../ledger/memory-parts.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { eax, r8d, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { type FramePlaces, framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';

/*
 * The ledger is reserved memory, and gets pages as it grows: most processes need few of them. Slots and the stack pool
 * grow a chunk at a time. Several threads may do the same work at once: each of them asks for the memory first, which
 * may be asked for twice, and says so then.
 */

const MEM_COMMIT = 0x1000;
const PAGE_READWRITE = 0x04;

const frame: FrameShape = { pushes: [], sizeBytes: 0x58 };
const places = framePlaces(frame, 0x30, 'address', 'size', 'before', 'after');

/**
 * Emits `u32 growSlots(u64 index)`: gives memory to the slot of this index and to all before it, with their earlier
 * lives. Returns 0 where there is no such slot, or no memory.
 */
export function emitGrowSlots(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  const { linkSlots, grown } = environment;
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [fewer, noLives, raise, raised, none] = asm.labels('fewer', 'noLives', 'raise', 'raised', 'none');
    asm.cmp(rcx, linkSlots.slotCount);
    asm.j('ae', none);
    asm.or(rcx, SLOT_CHUNK_COUNT - 1);
    asm.add(rcx, 1);
    asm.mov(places.after, rcx);
    asm.mov(rdx, grown.slotsCommitted);
    asm.mov(places.before, rdx);
    emitMultiply(asm, SLOT_SIZE_BYTES);
    emitCommit(asm, none, linkSlots.slots, environment);

    asm.mov(rdx, places.before);
    asm.mov(rcx, places.after);
    asm.cmp(rcx, EARLIER_LIVES_SLOT_COUNT);
    asm.j('be', fewer);
    asm.mov(rcx, EARLIER_LIVES_SLOT_COUNT);
    asm.bind(fewer);
    asm.cmp(rdx, rcx);
    asm.j('ae', noLives);
    asm.imul(rcx, linkSlots.earlierLivesSizeBytes);
    asm.imul(rdx, linkSlots.earlierLivesSizeBytes);
    emitCommit(asm, none, linkSlots.earlierLives, environment);
    asm.bind(noLives);

    asm.mov(rcx, places.after);
    asm.bind(raise);
    asm.mov(rax, grown.slotsCommitted);
    asm.cmp(rax, rcx);
    asm.j('ae', raised);
    asm.lockCmpxchg(grown.slotsCommitted, rcx);
    asm.j('ne', raise);
    asm.bind(raised);
    asm.mov(eax, 1);
    epilogue();
    asm.bind(none);
    asm.xor(eax, eax);
    epilogue();
  });
}

/**
 * Emits `void growStackPool()`: gives memory to more of the stack pool. Where there is none, stacks may use what is
 * left of the pool, and nothing asks again.
 */
export function emitGrowStackPool(asm: Assembler, begin: Label, environment: LinkedEnvironment): FramedFunction {
  const { linkSlots, grown } = environment;
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [last, done] = asm.labels('last', 'done');
    asm.mov(rdx, grown.stackPoolCommitted);
    asm.mov(places.before, rdx);
    asm.cmp(rdx, STACK_POOL_SIZE_BYTES);
    asm.j('ae', last);
    asm.lea(rcx, at(rdx, STACK_POOL_CHUNK_SIZE_BYTES));
    asm.mov(places.after, rcx);
    emitCommit(asm, last, linkSlots.stackPool, environment);
    asm.mov(rax, places.before);
    asm.mov(rcx, places.after);
    asm.lockCmpxchg(grown.stackPoolCommitted, rcx);
    asm.j('ne', done); // another thread was first
    asm.sub(rcx, STACK_POOL_SPARE_BYTES);
    asm.mov(grown.stackPoolGrowAt, rcx);
    asm.bind(done);
    epilogue();
    asm.bind(last);
    asm.mov(rax, -1n);
    asm.mov(grown.stackPoolGrowAt, rax);
    epilogue();
  });
}

/** Commits a part of the ledger, from rdx up to rcx bytes behind `base`. Jumps to `none` where Windows refuses. */
function emitCommit(
  asm: Assembler,
  none: Label,
  base: Memory,
  { ntdllImport }: Pick<LinkedEnvironment, 'ntdllImport'>,
): void {
  asm.sub(rcx, rdx);
  asm.add(rdx, base);
  emitCommitAt(asm, none, places, { ntdllImport });
}

/**
 * Commits rcx bytes from the address rdx on. Jumps to `none` where Windows refuses.
 *
 * @param places in a frame that has room for six arguments
 */
export function emitCommitAt(
  asm: Assembler,
  none: Label,
  { address, size }: FramePlaces<readonly ['address', 'size']>,
  { ntdllImport }: Pick<LinkedEnvironment, 'ntdllImport'>,
): void {
  asm.mov(size, rcx);
  asm.mov(address, rdx);
  asm.mov(rcx, -1n); // this process
  asm.lea(rdx, address);
  asm.xor(r8d, r8d);
  asm.lea(r9, size);
  asm.movImmediate64(at(rsp, 0x20), MEM_COMMIT);
  asm.movImmediate64(at(rsp, 0x28), PAGE_READWRITE);
  asm.call(ntdllImport('NtAllocateVirtualMemory'));
  asm.test(eax, eax);
  asm.j('s', none);
}

/** Turns the numbers in rcx and rdx into sizes. */
function emitMultiply(asm: Assembler, powerOfTwo: number): void {
  for (const register of [rcx, rdx]) asm.shl(register, Math.log2(powerOfTwo));
}
