import {
  CHILD_ANSWERED,
  CHILD_REQUEST_COUNT,
  CHILD_REQUEST_SIZE_BYTES,
  CHILD_REQUESTED,
  CHILD_TAKEN,
  childRequest,
  header,
} from './layout.ts';
import type { LedgerMemory } from './memory.ts';

/** Child processes that stand before their first instruction, and wait for the auditor: see hooks/follow-child.ts. */
export class ChildRequests {
  readonly #memory: LedgerMemory;

  constructor(memory: LedgerMemory) {
    this.#memory = memory;
  }

  /** Those that wait until the auditor has put itself into them; the ids come from the target. */
  *list(): Generator<{ readonly index: number; readonly processId: number }> {
    for (let index = 0; index < CHILD_REQUEST_COUNT; index++) {
      const offset = header.childRequests + index * CHILD_REQUEST_SIZE_BYTES;
      if (this.#memory.getUint32(offset + childRequest.state) === CHILD_REQUESTED)
        yield { index, processId: this.#memory.getUint32(offset + childRequest.processId) };
    }
  }

  /** Says that the auditor is at work in a child. @returns whether the child still waits for it */
  take(index: number): boolean {
    return this.#memory.exchangeUint32(stateOf(index), CHILD_REQUESTED, CHILD_TAKEN);
  }

  /** Says that the auditor has done what it could. */
  answer(index: number): void {
    this.#memory.exchangeUint32(stateOf(index), CHILD_TAKEN, CHILD_ANSWERED);
  }
}

function stateOf(index: number): number {
  return header.childRequests + index * CHILD_REQUEST_SIZE_BYTES + childRequest.state;
}
