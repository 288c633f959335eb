import type { LedgerLife, LedgerMisuse } from '../call-ledger.ts';
import type { TableEntry } from './sources.ts';

/** https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55 */
const STATUS_INVALID_HANDLE = 0xc0000008;
const STATUS_OBJECT_TYPE_MISMATCH = 0xc0000024;

/** The objects of refused calls. The kernel's table has the types of those that the recorder did not see opened. */
export class RefusedObjects {
  /**
   * By value and generation: a value may stand for another object in each of its lives. `undefined` as long as no open
   * handle of that life was shown.
   */
  readonly #types = new Map<bigint, Map<bigint, string | undefined>>();

  constructor(misuses: readonly LedgerMisuse[]) {
    for (const misuse of misuses) {
      const { values, life } = misuse;
      const [value] = values;
      if (value === undefined || life.objectType !== 'Unknown' || wasCertainlyNotOpen(misuse)) continue;
      const key = BigInt.asUintN(64, value);
      const lives = this.#types.get(key) ?? new Map<bigint, string | undefined>();
      this.#types.set(key, lives.set(life.generation, undefined));
    }
  }

  /** Shows an open handle to the refusals that may be about it. */
  offer({ value, type }: TableEntry, now: LedgerLife | undefined): void {
    const generation = now?.generation ?? 0n;
    const lives = this.#types.get(value);
    if (lives?.has(generation) === true) lives.set(generation, type);
  }

  typeOf(misuse: LedgerMisuse): string {
    return this.#typeInTable(misuse) ?? misuse.life.objectType;
  }

  /** Whether the handle was open, although no call that the recorder saw had opened it. */
  wasOpenUnseen(misuse: LedgerMisuse): boolean {
    const { life } = misuse;
    return life.isOpen ? life.opened?.call === undefined : this.#typeInTable(misuse) !== undefined;
  }

  /**
   * The call was refused for the type of its object, and the object is of the very type that the call works on. Then
   * the system does not implement the call for this object: a file call on a console or a pipe under Wine, for example.
   */
  isPeculiarity(misuse: LedgerMisuse): boolean {
    if (misuse.status !== STATUS_OBJECT_TYPE_MISMATCH) return false;
    if (misuse.worksOn === 'any') return true;
    const type = this.typeOf(misuse);
    return misuse.worksOn.includes(type === 'Socket' ? 'File' : type) || misuse.worksOn.includes(type);
  }

  #typeInTable(misuse: LedgerMisuse): string | undefined {
    const { values, life } = misuse;
    const [value] = values;
    if (value === undefined || life.objectType !== 'Unknown' || wasCertainlyNotOpen(misuse)) return undefined;
    return this.#types.get(BigInt.asUintN(64, value))?.get(life.generation);
  }
}

/** A close takes no other handle: an open one that has the value now was opened later. A read takes an event, too. */
function wasCertainlyNotOpen({ kind, status }: LedgerMisuse): boolean {
  return kind === 'close' && status === STATUS_INVALID_HANDLE;
}
