import type { LedgerLife, LedgerMisuse } from '../call-ledger.ts';
import type { TableEntry } from './sources.ts';

/** https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55 */
const STATUS_OBJECT_TYPE_MISMATCH = 0xc0000024;

/** The objects of refused calls. The kernel's table has the types of those that the recorder did not see opened. */
export class RefusedObjects {
  /** The lives of the handles whose type is not known, by their values. */
  readonly #asked = new Map<bigint, LedgerLife>();
  readonly #typesInTable = new Map<bigint, string>();

  constructor(misuses: readonly LedgerMisuse[]) {
    for (const { values, life } of misuses) {
      const [value] = values;
      if (value !== undefined && life.objectType === 'Unknown') this.#asked.set(BigInt.asUintN(64, value), life);
    }
  }

  /** Shows an open handle to the refusals that may be about it. */
  offer({ value, type }: TableEntry, now: LedgerLife | undefined): void {
    const then = this.#asked.get(value);
    if (then !== undefined && then.generation === (now?.generation ?? 0n)) this.#typesInTable.set(value, type);
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

  #typeInTable({ values: [value], life }: LedgerMisuse): string | undefined {
    if (value === undefined || life.objectType !== 'Unknown') return undefined;
    return this.#typesInTable.get(BigInt.asUintN(64, value));
  }
}
