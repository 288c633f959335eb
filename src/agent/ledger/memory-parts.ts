import { EARLIER_LIVES_SLOT_COUNT } from './earlier-life.ts';
import { header, LEDGER_MAGIC, type LedgerLayout, SLOT_SIZE_BYTES } from './layout.ts';

/*
 * Which parts of a ledger have memory. It is reserved whole, and most processes need little of it. The agent asks for
 * more as the stack pool and the slots grow (emit/recorder/grow-ledger.ts).
 */

/** The stack pool gets memory in chunks, and the next one before the last bytes of the one before are used. */
export const STACK_POOL_CHUNK_SIZE_BYTES: number = 1 << 20;
/** Room for a thousand threads that enter a new stack at once. */
export const STACK_POOL_SPARE_BYTES: number = 1 << 19;
/** Slots get memory in chunks: handle values up to 8,192 are in the first. */
export const SLOT_CHUNK_COUNT = 2048;

/** Bytes of a ledger from an offset on. */
export interface LedgerPart {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** How many slots have memory from the beginning. */
export function firstSlots({ slotCount }: LedgerLayout): number {
  return Math.min(SLOT_CHUNK_COUNT, slotCount);
}

/** The parts that have memory from the beginning. */
export function firstParts(layout: LedgerLayout): readonly LedgerPart[] {
  const { stackPoolOffset, quarantineOffset, slotsOffset } = layout;
  return [
    { offset: 0, sizeBytes: stackPoolOffset + STACK_POOL_CHUNK_SIZE_BYTES },
    { offset: quarantineOffset, sizeBytes: slotsOffset - quarantineOffset },
    ...slotParts(layout, firstSlots(layout)),
  ].filter(({ sizeBytes }) => sizeBytes > 0);
}

/** Whether a target has used no more than the {@link firstParts}, and has left the header as it is. */
export function isWithinFirstParts(view: DataView, layout: LedgerLayout): boolean {
  return (
    view.getBigUint64(header.magic, true) === LEDGER_MAGIC &&
    view.getBigUint64(header.slotCount, true) === BigInt(layout.slotCount) &&
    view.getBigUint64(header.slotsUsed, true) <= BigInt(firstSlots(layout)) &&
    view.getBigUint64(header.stackPoolUsed, true) < BigInt(STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES) &&
    view.getUint32(header.misuseLives, true) === 0
  );
}

/** The first `count` slots, and their earlier lives. */
export function slotParts(layout: LedgerLayout, count: number): readonly LedgerPart[] {
  const { slotsOffset, earlierLivesOffset, earlierLivesSizeBytes } = layout;
  const lives = Math.min(count, EARLIER_LIVES_SLOT_COUNT);
  return [
    { offset: slotsOffset, sizeBytes: count * SLOT_SIZE_BYTES },
    { offset: earlierLivesOffset, sizeBytes: lives * earlierLivesSizeBytes },
  ];
}
