import { header } from './layout.ts';
import type { LedgerMemory } from './memory.ts';

/** The auditor's objects of which a target may be lent a handle: those of the exit gate, and the mutant for stops. */
const lentObjects = ['arrived', 'judged', 'threadsSeen', 'child', 'stops'] as const;

export type LentObject = (typeof lentObjects)[number];

/** Offset in the ledger of the value that an object's handle has in the target; 0 there: it has none. */
export function lentHandleOffset(object: LentObject): number {
  return header.lentHandles + lentObjects.indexOf(object) * 8;
}

/** The handles that the auditor has put into a target. The target can overwrite their values. */
export class LentHandles {
  readonly #memory: LedgerMemory;

  constructor(memory: LedgerMemory) {
    this.#memory = memory;
  }

  note(object: LentObject, value: bigint): void {
    this.#memory.setBigUint64(lentHandleOffset(object), value);
  }

  values(): readonly bigint[] {
    return readHandles(this.#memory, lentObjects.map(lentHandleOffset));
  }

  /** Notes that there are none. */
  clear(): void {
    for (const object of lentObjects) this.note(object, 0n);
  }
}

/** The handles that the exit gate has opened. */
export function gateHandles(memory: LedgerMemory): readonly bigint[] {
  return readHandles(memory, [header.gateHandles, header.gateHandles + 8]);
}

/** The values at some offsets, without 0, which stands for none. */
function readHandles(memory: LedgerMemory, offsets: readonly number[]): readonly bigint[] {
  return offsets.map((offset) => memory.getBigInt64(offset)).filter((value) => value !== 0n);
}
