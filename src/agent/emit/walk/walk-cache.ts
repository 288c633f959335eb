import { WALK_CACHE_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, rax, rcx, rdx } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/**
 * The walk cache remembers how far each frame reaches, by the return address into it.
 *
 * In the Windows x64 ABI a return address alone fixes how far the caller's frame reaches, because there are no pushes
 * outside a prologue. The distance counts from rsp or, in functions with a frame pointer, from rbp. The cache cannot
 * express machine frames, frame registers other than rbp, and code that may be replaced: that is code outside of
 * images, except the agent's own. The unwinder walks those every time.
 *
 * An entry, indexed by the low 14 bits of the return address:
 * ```
 * 63..31  return address >> 14
 * 30      the frame is measured from rbp, not from rsp
 * 29      the entry holds a distance; clear: the address is known, but only the unwinder can walk its frame
 * 28..11  distance to the caller's rsp / 8
 * 10..0   where the caller's rbp is saved, relative to the caller's rsp / 8, signed; -1024: it is still in rbp
 * ```
 */
export const cacheEntry = {
  tagShift: 31,
  fromRbp: 0x4000_0000,
  hasDistance: 0x2000_0000,
  distanceShift: 11,
  distanceMask: 0x3_ffff,
  rbpNotSaved: -1024,
} as const;

export const CACHE_INDEX_BITS: number = Math.log2(WALK_CACHE_COUNT);

/** Emits `void clearWalkCache()`: empties the walk cache. A leaf function. */
export function emitClearWalkCache(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next] = asm.labels('next');
  asm.align(16);
  asm.bind(begin);
  asm.mov(rcx, linkSlots.walkCache);
  asm.xor(eax, eax);
  asm.lea(rdx, at(rcx, WALK_CACHE_COUNT * 8));
  asm.bind(next);
  asm.mov(at(rcx), rax);
  asm.add(rcx, 8);
  asm.cmp(rcx, rdx);
  asm.j('b', next);
  asm.ret();
}
