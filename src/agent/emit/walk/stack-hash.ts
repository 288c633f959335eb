import type { Assembler } from '../../asm/assembler.ts';
import type { Register } from '../../asm/registers.ts';

/** Seed and multiplier of the stack hash (the multiplier of splitmix64's finaliser). */
export const HASH_SEED = 0x9e37_79b9_7f4a_7c15n;
export const HASH_MULTIPLIER = 0xbf58_476d_1ce4_e5b9n;

/** One step of the hash: `hash = (hash ^ value) * multiplier; hash ^= hash >> 32`. Clobbers `scratch`. */
export function emitHashStep(
  asm: Assembler,
  hash: Register,
  value: Register,
  multiplier: Register,
  scratch: Register,
): void {
  asm.xor(hash, value);
  asm.imul(hash, multiplier);
  asm.mov(scratch, hash);
  asm.shr(scratch, 32);
  asm.xor(hash, scratch);
}
