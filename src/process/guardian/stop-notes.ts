import type { Hole } from './hole.ts';

// The guardian's process runs this module: see process-table.ts.

/** `beginning`: the process is about to be stopped, and may stand already. */
type StopState = 'running' | 'beginning' | 'stopped';

const states: readonly StopState[] = ['running', 'beginning', 'stopped'];

/**
 * A note about whether the auditor has stopped its target, in memory that auditor and guardian share. The auditor may
 * end between any two writes, and the note is right at each moment.
 *
 * u32 process id · u32 {@link StopState} · u64 unused · u64 address and u64 size of memory that must not be missing
 */
export class StopNotes {
  static readonly SIZE_BYTES = 32;
  readonly #words: Uint32Array;
  readonly #quads: BigUint64Array;

  /** @param memory {@link StopNotes.SIZE_BYTES} bytes, all 0 at first */
  constructor(memory: ArrayBuffer) {
    this.#words = new Uint32Array(memory);
    this.#quads = new BigUint64Array(memory, 16, 2);
  }

  get processId(): number {
    return this.#words[0]!;
  }

  set processId(processId: number) {
    this.#words[0] = processId;
  }

  get state(): StopState {
    return states[this.#words[1]!] ?? 'running';
  }

  set state(state: StopState) {
    this.#words[1] = states.indexOf(state);
  }

  get hole(): Hole | undefined {
    const [address = 0n, sizeBytes = 0n] = this.#quads;
    return sizeBytes === 0n ? undefined : { address, sizeBytes };
  }

  /** @param sizeBytes 0 when it is there */
  noteHole(address: bigint, sizeBytes: bigint): void {
    this.#quads[1] = 0n;
    this.#quads[0] = address;
    this.#quads[1] = sizeBytes;
  }
}
