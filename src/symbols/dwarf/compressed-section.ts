import { inflateSync } from 'node:zlib';

import { TABLE_SIZE_BYTES_MAX } from '../block-file.ts';
import type { MemoryBudget } from '../memory-budget.ts';

/** `ZLIB`, and the size of the contents in 64 bits, the highest byte first. */
const HEADER_SIZE_BYTES = 12;

/**
 * The contents of a compressed debug section, which a linker names `.zdebug_…` (Go's does, and GNU ld with
 * `--compress-debug-sections=zlib-gnu`); empty where it is damaged, or too large for the memory that is left.
 *
 * A PE section has no flag of ELF's that could mark a compressed one (`SHF_COMPRESSED`), so there is no other form.
 * https://sourceware.org/binutils/docs/ld/Options.html
 */
export function inflateSection(section: Buffer, budget: MemoryBudget): Buffer {
  const none = Buffer.alloc(0);
  if (section.length <= HEADER_SIZE_BYTES || section.toString('latin1', 0, 4) !== 'ZLIB') return none;
  const sizeBytes = section.readUInt32BE(4) * 2 ** 32 + section.readUInt32BE(8);
  if (sizeBytes === 0 || sizeBytes > TABLE_SIZE_BYTES_MAX || !budget.take(sizeBytes)) return none;
  try {
    const contents = inflateSync(section.subarray(HEADER_SIZE_BYTES), { maxOutputLength: sizeBytes });
    if (contents.length === sizeBytes) return contents;
  } catch {
    // Damaged, or larger than it says.
  }
  budget.giveBack(sizeBytes);
  return none;
}
