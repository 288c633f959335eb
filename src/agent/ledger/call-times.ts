import { slot, SLOT_SIZE_BYTES } from './layout.ts';
import type { LedgerMemory } from './memory.ts';
import { misuse, MISUSE_COUNT, MISUSE_SIZE_BYTES } from './misuse.ts';

/** Where the lives and misuses of a ledger are. */
interface Parts {
  readonly misusesOffset: number;
  readonly slotsOffset: number;
  readonly slotsUsed: number;
  /** Offsets of the runtime objects, each of which begins with a slot. */
  readonly runtimeObjects: Iterable<number>;
}

/** The times of all openings and misuses that are on record, in no order. */
export function* readCallTimes(memory: LedgerMemory, parts: Parts): Generator<bigint> {
  const { misusesOffset, slotsOffset, slotsUsed, runtimeObjects } = parts;
  for (let index = 0; index < slotsUsed; index++) {
    const time = memory.getBigUint64(slotsOffset + index * SLOT_SIZE_BYTES + slot.openedTime);
    if (time !== 0n) yield time;
  }
  for (const offset of runtimeObjects) {
    const time = memory.getBigUint64(offset + slot.openedTime);
    if (time !== 0n) yield time;
  }
  for (let index = 0; index < MISUSE_COUNT; index++) {
    const offset = misusesOffset + index * MISUSE_SIZE_BYTES;
    if (memory.getBigUint64(offset + misuse.key) === 0n) continue;
    yield memory.getBigUint64(offset + misuse.offendingTime);
    yield memory.getBigUint64(offset + misuse.life + slot.openedTime);
  }
}
