import type { LedgerMisuse } from '../../call-ledger.ts';
import { header, type LedgerLayout, MAXIMUM_FRAMES, STACK_POOL_SIZE_BYTES, stackNode } from './layout.ts';
import type { LedgerMemory } from './memory.ts';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES } from './misuse.ts';
import { readMisuse } from './records.ts';
import {
  STACK_SEEN,
  STACK_WATCH_SHIFT,
  STOP_BREAK,
  STOP_COUNT,
  STOP_HELD,
  STOP_MISUSE,
  STOP_OPENINGS,
  STOP_PASS,
  STOP_REQUESTED,
  STOP_SIZE_BYTES,
  STOP_STACK,
  STOP_TAKEN,
  stop,
  WATCH_COUNT,
} from './stop.ts';

/** The question of a thread that waits where a call is about to return. All of it comes from the target. */
export interface StopRequest {
  /** Its place in the table. */
  readonly index: number;
  readonly threadId: number;
  readonly about:
    | { readonly kind: 'misuse'; readonly misuse: LedgerMisuse }
    /** An opening stack that has not been looked at; the answer is {@link StopRequests.see}. */
    | { readonly kind: 'stack'; readonly stackId: number }
    /** As many handles are open of a watch's stacks as are waited for. */
    | { readonly kind: 'openings'; readonly stackId: number; readonly watch: number };
  /** Where the `stopPlaces` (stop.ts) lie in the target. */
  readonly places: bigint;
}

/** Threads that wait for the auditor at a misuse or an opening: see hooks/stop-there.ts. */
export class StopRequests {
  readonly #memory: LedgerMemory;
  readonly #layout: LedgerLayout;

  constructor(memory: LedgerMemory, layout: LedgerLayout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  /** Lets the recorder ask about an opening when so many handles of the watch's stacks are open. */
  watch(number: number, limit: number): void {
    this.#memory.setUint32(header.watchLimits + number * 4, limit);
    this.#memory.setUint32(header.watchLimits, 1);
  }

  /** Those that wait. A question that makes no sense is answered: the thread goes on. */
  *list(): Generator<StopRequest> {
    for (let index = 0; index < STOP_COUNT; index++) {
      const offset = entryOf(index);
      if (!this.#exchange(index, STOP_REQUESTED, STOP_TAKEN)) continue;
      const about = this.#about(
        this.#memory.getUint32(offset + stop.kind),
        this.#memory.getUint32(offset + stop.subject),
      );
      if (about === undefined) this.answer(index, 'pass');
      else
        yield {
          index,
          threadId: this.#memory.getUint32(offset + stop.threadId),
          about,
          places: this.#memory.getBigUint64(offset + stop.places),
        };
    }
  }

  /** Says that the thread is going to wait for long. */
  hold(index: number): void {
    this.#exchange(index, STOP_TAKEN, STOP_HELD);
  }

  /** Lets the thread go on, plainly or by a breakpoint. */
  answer(index: number, how: 'pass' | 'break'): void {
    const state = how === 'pass' ? STOP_PASS : STOP_BREAK;
    if (!this.#exchange(index, STOP_TAKEN, state)) this.#exchange(index, STOP_HELD, state);
  }

  /** Notes that a stack was looked at, and the watch that it belongs to; 0 for none. */
  see(stackId: number, watch: number): void {
    if (stackId <= 0 || stackId * 8 > STACK_POOL_SIZE_BYTES - stackNode.frames - MAXIMUM_FRAMES * 8) return;
    const offset = this.#layout.stackPoolOffset + stackId * 8 + stackNode.openedType;
    const type = this.#memory.getUint16(offset) & 0xff;
    this.#memory.setUint16(offset, type | STACK_SEEN | (watch << STACK_WATCH_SHIFT));
  }

  #about(kind: number, subject: number): StopRequest['about'] | undefined {
    if (kind === STOP_STACK) return { kind: 'stack', stackId: subject };
    if (kind === STOP_OPENINGS) {
      if (subject <= 0 || subject * 8 > STACK_POOL_SIZE_BYTES - stackNode.frames) return undefined;
      const word = this.#memory.getUint16(this.#layout.stackPoolOffset + subject * 8 + stackNode.openedType);
      return { kind: 'openings', stackId: subject, watch: (word >> STACK_WATCH_SHIFT) & (WATCH_COUNT - 1) };
    }
    const isRecord = subject % MISUSE_SIZE_BYTES === 0 && subject < MISUSE_COUNT * MISUSE_SIZE_BYTES;
    if (kind !== STOP_MISUSE || !isRecord) return undefined;
    const misuse = readMisuse(this.#memory, this.#layout.misusesOffset + subject, this.#layout);
    return misuse && { kind: 'misuse', misuse };
  }

  #exchange(index: number, expected: number, state: number): boolean {
    return this.#memory.exchangeUint32(entryOf(index) + stop.state, expected, state);
  }
}

function entryOf(index: number): number {
  return header.stopTable + index * STOP_SIZE_BYTES;
}
