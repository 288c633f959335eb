import { objectTypes } from '../tables/object-types.ts';
import { slot, SLOT_SIZE_BYTES, STATE_FLAG_BITS } from './layout.ts';
import type { LedgerMemory } from './memory.ts';

/** The slots of a ledger that were used. */
interface Slots {
  readonly memory: LedgerMemory;
  readonly offset: number;
  readonly count: number;
}

/** How many lives all slots have had, and how many of these go on. */
export function countLives({ memory, offset, count }: Slots): { readonly lives: number; readonly open: number } {
  let lives = 0;
  let open = 0;
  for (let index = 0; index < count; index++) {
    const state = offset + index * SLOT_SIZE_BYTES + slot.state;
    const low = memory.getUint32(state);
    const high = memory.getUint32(state + 4) & (0xffff_ffff >>> STATE_FLAG_BITS);
    lives += (low >>> 1) + high * 0x8000_0000; // the generation
    open += low & 1;
  }
  return { lives, open };
}

/** How many values are open, by the type of their objects. */
export function countOpenByType({ memory, offset, count }: Slots): Map<string, number> {
  const counts = new Uint32Array(objectTypes.length + 1); // the last one is of types that there are not
  for (let index = 0; index < count; index++) {
    const each = offset + index * SLOT_SIZE_BYTES;
    if ((memory.getUint32(each + slot.state) & 1) === 1)
      counts[Math.min(memory.getUint16(each + slot.objectType), objectTypes.length)]!++;
  }
  const byType = new Map<string, number>();
  for (const [index, open] of counts.entries()) {
    const type = objectTypes[index] ?? 'Unknown';
    if (open > 0) byType.set(type, (byType.get(type) ?? 0) + open);
  }
  return byType;
}
