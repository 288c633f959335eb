import {
  header, MAXIMUM_FRAMES, STACK_INDEX_COUNT, STACK_INDEX_OFFSET, STACK_POOL_OFFSET, STACK_POOL_SIZE_BYTES, stackNode,
} from '../ledger-layout.ts'; // prettier-ignore
import type { LinkedEnvironment } from '../linkage.ts';
import { type Assembler, at, indexed, type Label, low32, r10, r11, r8, r9, rax, rcx, rdx, rsp } from './assembler.ts';

/** How many places a stack may be looked for before it is dropped, and counted. */
const PROBE_COUNT = 64;

/**
 * Emits `u32 internStack(u64* frames, u32 count, u64 hash)`: the id of the stack in the pool, which it enters there the
 * first time, or 0 when there is no room. Lock-free: a node is complete before the index shows it; of two threads that
 * enter the same stack at once one wastes a node. Two stacks are the same when their 64-bit hashes are.
 *
 * A leaf function: it needs no unwind data.
 */
export function emitInternStack(assembler: Assembler, begin: Label, { words }: LinkedEnvironment): void {
  const [probe, insert, copy, taken, dropped, found] = assembler.labels('probe', 'insert', 'copy', 'taken', 'dropped', 'found');
  const savedProbes = at(rsp, 0x08); // our caller's home space
  const savedPosition = at(rsp, 0x10);
  const nodeId = at(rsp, 0x18);

  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(r9, words.ledger);
  assembler.mov(r10, r8);
  assembler.shr(r10, 64 - Math.log2(STACK_INDEX_COUNT));
  assembler.mov(low32(r11), PROBE_COUNT);
  assembler.bind(probe);
  assembler.mov(low32(rax), indexed(r9, r10, 4, STACK_INDEX_OFFSET));
  assembler.test(low32(rax), low32(rax));
  assembler.j('e', insert);
  assembler.cmp(r8, indexed(r9, rax, 8, STACK_POOL_OFFSET + stackNode.hash));
  assembler.j('e', found);
  assembler.add(low32(r10), 1);
  assembler.and(low32(r10), STACK_INDEX_COUNT - 1);
  assembler.sub(low32(r11), 1);
  assembler.j('ne', probe);
  assembler.bind(dropped);
  assembler.lockInc32(at(r9, header.droppedStacks));
  assembler.xor(low32(rax), low32(rax));
  assembler.bind(found);
  assembler.ret();

  assembler.bind(insert);
  assembler.mov(savedProbes, r11);
  assembler.mov(savedPosition, r10);
  assembler.mov(low32(rax), low32(rdx));
  assembler.shl(low32(rax), 3);
  assembler.add(rax, stackNode.frames);
  assembler.lockXadd(at(r9, header.stackPoolUsed), rax);
  assembler.cmp(rax, STACK_POOL_SIZE_BYTES - stackNode.frames - MAXIMUM_FRAMES * 8);
  assembler.j('a', dropped);
  assembler.lea(r10, indexed(r9, rax, 1, STACK_POOL_OFFSET));
  assembler.shr(rax, 3);
  assembler.mov(nodeId, rax);
  assembler.mov(at(r10, stackNode.hash), r8);
  assembler.mov(at(r10, stackNode.frameCount), low32(rdx));
  assembler.xor(low32(r11), low32(r11));
  assembler.bind(copy);
  assembler.mov(rax, indexed(rcx, r11, 8));
  assembler.mov(indexed(r10, r11, 8, stackNode.frames), rax);
  assembler.add(low32(r11), 1);
  assembler.cmp(low32(r11), low32(rdx));
  assembler.j('b', copy);
  assembler.mov(r10, savedPosition);
  assembler.mov(r11, nodeId);
  assembler.xor(low32(rax), low32(rax));
  assembler.lockCmpxchg(indexed(r9, r10, 4, STACK_INDEX_OFFSET), low32(r11));
  assembler.j('ne', taken);
  assembler.mov(low32(rax), low32(r11));
  assembler.ret();
  assembler.bind(taken); // somebody was first, perhaps with the same stack: look again at the same place
  assembler.mov(r11, savedProbes);
  assembler.jmp(probe);
}
