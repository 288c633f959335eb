import {
  header,
  MAXIMUM_FRAMES,
  STACK_INDEX_COUNT,
  STACK_INDEX_OFFSET,
  STACK_POOL_OFFSET,
  stackNode,
} from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label } from '../../asm/operands.ts';
import { eax, edx, r10, r10d, r11, r11d, r8, r9, rax, rcx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { POOL_MUST_GROW } from '../walk/capture-frame.ts';

/** The largest node. */
const NODE_SIZE_BYTES_MAX = stackNode.frames + MAXIMUM_FRAMES * 8;

/** How many entries of the index a stack may try before it is dropped, and counted. */
const PROBE_COUNT = 64;

// A leaf has no frame: its places lie in the home space that the caller left.
const [probesLeft, position, nodeId] = [at(rsp, 0x08), at(rsp, 0x10), at(rsp, 0x18)];

/**
 * Emits `u32 internStack(u64* frames, u32 count | openedType << 16, u64 hash)`: returns the id of the stack in the
 * pool, after entering it there the first time, or 0 when there is no room, or {@link POOL_MUST_GROW}. Two stacks are
 * the same when their 64-bit hashes are.
 *
 * It uses no lock. A node is complete before the index shows it. When two threads enter the same stack at once, one of
 * them wastes a node.
 *
 * A leaf function: it needs no unwind data.
 */
export function emitInternStack(asm: Assembler, begin: Label, environment: LinkedEnvironment): void {
  const [probe, insert, mustGrow, taken, dropped, found] = asm.labels(
    'probe',
    'insert',
    'mustGrow',
    'taken',
    'dropped',
    'found',
  );
  asm.align(16);
  asm.bind(begin);
  asm.mov(r9, environment.linkSlots.ledger);
  asm.mov(r10, r8);
  asm.shr(r10, 64 - Math.log2(STACK_INDEX_COUNT));
  asm.mov(r11d, PROBE_COUNT);
  asm.bind(probe);
  emitProbe(asm, { again: probe, insert, found });
  asm.bind(dropped);
  asm.lockInc32(at(r9, header.droppedStacks));
  asm.xor(eax, eax);
  asm.bind(found);
  asm.ret();

  asm.bind(mustGrow);
  asm.mov(eax, POOL_MUST_GROW);
  asm.ret();

  asm.bind(insert);
  emitTakeRoom(asm, { mustGrow, dropped }, environment);
  emitWriteNode(asm);
  asm.mov(r10, position);
  asm.mov(r11, nodeId);
  asm.xor(eax, eax);
  asm.lockCmpxchg(indexed(r9, r10, 4, STACK_INDEX_OFFSET), r11d);
  asm.j('ne', taken);
  asm.mov(eax, r11d);
  asm.ret();
  asm.bind(taken); // another thread was first, perhaps with the same stack: look at the same entry again
  asm.mov(r11, probesLeft);
  asm.jmp(probe);
}

/*
 * The stages share these registers with the arguments:
 *
 * r9   the ledger
 * r10  the entry of the index
 * r11  how many entries are left to try
 */

/**
 * Looks at an entry of the index. Jumps to `insert` where it is free, to `found` with the stack's id in eax, or `again`
 * with the next entry. Goes on where there is none left to try.
 */
function emitProbe(asm: Assembler, { again, insert, found }: Record<'again' | 'insert' | 'found', Label>): void {
  asm.mov(eax, indexed(r9, r10, 4, STACK_INDEX_OFFSET));
  asm.test(eax, eax);
  asm.j('e', insert);
  asm.cmp(r8, indexed(r9, rax, 8, STACK_POOL_OFFSET + stackNode.hash));
  asm.j('e', found);
  asm.add(r10d, 1);
  asm.and(r10d, STACK_INDEX_COUNT - 1);
  asm.sub(r11d, 1);
  asm.j('ne', again);
}

/**
 * Takes room for the node, keeps r10 and r11 in their places, and leaves the node's address in r10 and its id in its
 * place. Jumps to `mustGrow` before the pool is full, and to `dropped` where it is. Clobbers rax.
 */
function emitTakeRoom(
  asm: Assembler,
  { mustGrow, dropped }: Record<'mustGrow' | 'dropped', Label>,
  { grown }: LinkedEnvironment,
): void {
  asm.mov(rax, at(r9, header.stackPoolUsed));
  asm.cmp(rax, grown.stackPoolGrowAt);
  asm.j('ae', mustGrow);
  asm.mov(probesLeft, r11);
  asm.mov(position, r10);
  asm.mov(eax, edx);
  asm.and(eax, 0xffff); // the count
  asm.shl(eax, 3);
  asm.add(rax, stackNode.frames);
  asm.lockXadd(at(r9, header.stackPoolUsed), rax);
  asm.lea(r10, at(rax, NODE_SIZE_BYTES_MAX));
  asm.cmp(r10, grown.stackPoolCommitted);
  asm.j('a', dropped);
  asm.lea(r10, indexed(r9, rax, 1, STACK_POOL_OFFSET));
  asm.shr(rax, 3);
  asm.mov(nodeId, rax);
}

/** Writes the node at r10: the hash in r8, count and type in edx, and the frames at rcx. Clobbers rax, rdx, r11. */
function emitWriteNode(asm: Assembler): void {
  const copy = asm.label('copy');
  asm.mov(at(r10, stackNode.hash), r8);
  asm.mov(at(r10, stackNode.frameCount), edx); // openedType is the upper half
  asm.and(edx, 0xffff);
  asm.xor(r11d, r11d);
  asm.bind(copy);
  asm.mov(rax, indexed(rcx, r11, 8));
  asm.mov(indexed(r10, r11, 8, stackNode.frames), rax);
  asm.add(r11d, 1);
  asm.cmp(r11d, edx);
  asm.j('b', copy);
}
