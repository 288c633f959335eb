// A ledger that a test writes as the agent does. There is one, because most of it is a large pool of stacks.
import { recordedCalls } from '../../../src/agent/tables/function-table.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import { ELSEWHERE_COUNT, ELSEWHERE_SIZE_BYTES } from '../../../src/agent/ledger/elsewhere.ts';
import { IMAGE_SIZE_BYTES } from '../../../src/agent/ledger/image.ts';
import {
  ELSEWHERE_OFFSET,
  header,
  ledgerLayout,
  slot,
  SLOT_SIZE_BYTES,
  stackNode,
} from '../../../src/agent/ledger/layout.ts';
import { RUNTIME_OBJECT_SIZE_BYTES, runtimeObject } from '../../../src/agent/ledger/runtime-object.ts';
import { misuse } from '../../../src/agent/ledger/misuse.ts';
import { earlierLifeOffset } from '../../../src/agent/ledger/earlier-life.ts';
import { Ledger } from '../../../src/agent/ledger/ledger.ts';

export const SLOT_COUNT = 1024;
export const layout = ledgerLayout(SLOT_COUNT);
const memory = new ArrayBuffer(layout.sizeBytes);
export const view = new DataView(memory);
export const bytes = new Uint8Array(memory);
const typeIndex = (name: (typeof objectTypes)[number]) => objectTypes.indexOf(name);
export const rowNumber = (name: string) => recordedCalls.findIndex((row) => row.name === name) + 1;

/** The ranges that any test writes to; all else stays zero. */
const written: readonly (readonly [offset: number, sizeBytes: number])[] = [
  [0, layout.imagesOffset + 8 * IMAGE_SIZE_BYTES],
  [layout.runtimeObjectsOffset, 64 * RUNTIME_OBJECT_SIZE_BYTES],
  [ELSEWHERE_OFFSET, ELSEWHERE_COUNT * ELSEWHERE_SIZE_BYTES],
  [layout.stackPoolOffset, 0x1_0000],
  [layout.slotsOffset, SLOT_COUNT * SLOT_SIZE_BYTES],
  [layout.earlierLivesOffset, layout.sizeBytes - layout.earlierLivesOffset],
];

/** Empties the ledger, and returns a reader that has seen nothing of it yet. */
export function emptyLedger(): Ledger {
  for (const [offset, sizeBytes] of written) bytes.fill(0, offset, offset + sizeBytes);
  const ledger = new Ledger((offset, sizeBytes) => new DataView(memory, offset, sizeBytes), layout);
  ledger.initialise();
  return ledger;
}

export function writeStack(id: number, frames: readonly bigint[], closedBy = 0): void {
  const offset = layout.stackPoolOffset + id * 8;
  view.setUint16(offset + stackNode.frameCount, frames.length, true);
  view.setUint32(offset + stackNode.closedBy, closedBy, true);
  frames.forEach((frame, index) => view.setBigUint64(offset + stackNode.frames + index * 8, frame, true));
}

export interface SlotContent {
  readonly generation: bigint;
  readonly isOpen: boolean;
  readonly openedGeneration?: number;
  readonly closedGeneration?: number;
  readonly closedWhileExiting?: boolean;
  readonly call?: string;
}

/** Writes a slot as the agent does; `offset` is the slot's, or that of a copy in a misuse. */
export function writeSlot(offset: number, content: SlotContent): void {
  view.setBigUint64(offset + slot.state, (content.generation << 1n) | (content.isOpen ? 1n : 0n), true);
  view.setUint32(offset + slot.openedStack, 2, true);
  view.setUint32(
    offset + slot.openedGeneration,
    content.openedGeneration ?? Number(content.generation & 0xffff_ffffn),
    true,
  );
  view.setBigUint64(offset + slot.openedTime, 1000n, true);
  view.setUint32(offset + slot.openedThread, 0x24, true);
  view.setUint16(offset + slot.openedCall, rowNumber(content.call ?? 'NtCreateEvent'), true);
  view.setUint16(offset + slot.objectType, typeIndex('Event'), true);
  view.setUint32(offset + slot.closedStack, 50, true);
  view.setUint32(offset + slot.closedGeneration, content.closedGeneration ?? 0, true);
  view.setBigUint64(offset + slot.closedTime, 2000n, true);
  view.setUint32(offset + slot.closedThread, 0x28, true);
  view.setUint16(offset + slot.closedCall, rowNumber('NtClose'), true);
  view.setUint16(offset + slot.closedWhileExiting, content.closedWhileExiting ? 1 : 0, true);
}

export function slotOffset(value: bigint): number {
  return layout.slotsOffset + Number(value >> 2n) * SLOT_SIZE_BYTES;
}

export function recordSlot(value: bigint, content: SlotContent): void {
  writeSlot(slotOffset(value), content);
  const used = view.getBigUint64(header.slotsUsed, true);
  if ((value >> 2n) + 1n > used) view.setBigUint64(header.slotsUsed, (value >> 2n) + 1n, true);
}

/** Lets a runtime object stand for a handle, as the agent does. */
export function linkRuntimeObject(
  value: bigint,
  index: number,
  { key, descriptor = 0 }: { readonly key: bigint; readonly descriptor?: number },
): void {
  const offset = layout.runtimeObjectsOffset + index * RUNTIME_OBJECT_SIZE_BYTES;
  writeSlot(offset, { generation: 1n, isOpen: true });
  view.setBigUint64(offset + runtimeObject.key, key, true);
  view.setBigUint64(offset + runtimeObject.handle, value, true);
  view.setUint32(offset + runtimeObject.descriptor, descriptor, true);
  view.setUint32(slotOffset(value) + slot.runtimeObject, index + 1, true);
}

/** Where the first earlier lives of misuses lie, and those of a value. */
export const misuseLivesOffset = (index: number): number =>
  layout.misuseLivesOffset + index * layout.earlierLivesSizeBytes;
export const earlierLivesOffset = (value: bigint): number =>
  layout.earlierLivesOffset + Number(value >> 2n) * layout.earlierLivesSizeBytes;

/** Writes an earlier life as the agent does, among those at an offset. */
export function writeEarlierLife(
  livesOffset: number,
  generation: number,
  openedStack: number,
  closedStack: number,
): void {
  const offset = livesOffset + earlierLifeOffset(BigInt(generation), layout.history);
  writeSlot(offset, { generation: BigInt(generation), isOpen: false, closedGeneration: generation });
  view.setBigUint64(offset + slot.state, 0n, true); // a life has none
  view.setUint32(offset + slot.openedStack, openedStack, true);
  view.setUint32(offset + slot.closedStack, closedStack, true);
}

/** Gives a misuse the earlier lives with an index. */
export function linkEarlierLives(misuseOffset: number, index: number): void {
  view.setUint32(misuseOffset + misuse.earlierLives, index + 1, true);
}

/** The opening and the close that {@link writeSlot} writes. */
export const opened = { call: 'NtCreateEvent', threadId: 0x24, time: 1000n, stackId: 2 };
export const closed = { call: 'NtClose', threadId: 0x28, time: 2000n, stackId: 50 };
