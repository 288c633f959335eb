import type { MemoryBudget } from '../memory-budget.ts';
import { ByteCursor } from './byte-cursor.ts';
import type { DwarfUnit } from './unit-headers.ts';
import { type AttributeFormat, DW_FORM_implicit_const, fixedSizeBytes } from './values.ts';

/** The format of the entries of one kind. */
export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  readonly attributes: readonly AttributeFormat[];
  /** The size of all its attributes; undefined where it differs from entry to entry. */
  readonly sizeBytes: number | undefined;
}

/** More declarations than these, over all tables of a file, are damage: the tables overlap. */
const ABBREVIATIONS_MAX = 1 << 20;
/** Compilers write two dozen at most. An attribute that takes no bytes in an entry still takes time. */
const ATTRIBUTES_MAX = 128;
/** Approximate size of a declaration or an attribute in memory. */
const ATTRIBUTE_SIZE_BYTES = 100;

/** The tables of abbreviations of one file, each read once. */
export class AbbreviationTables {
  readonly #section: Buffer;
  readonly #tables = new Map<number, ReadonlyMap<number, Abbreviation>>();
  readonly #budget: MemoryBudget;
  #count = 0;

  constructor(section: Buffer, budget: MemoryBudget) {
    this.#section = section;
    this.#budget = budget;
  }

  /**
   * The abbreviations of a unit, by their code.
   *
   * @throws RangeError when the table is damaged
   */
  of(unit: DwarfUnit): ReadonlyMap<number, Abbreviation> {
    // The sizes of two forms depend on the unit. In real files, units that share a table agree in both.
    const key =
      unit.abbreviationsAt * 8 +
      (unit.isWide ? 4 : 0) +
      (unit.addressSize === 8 ? 2 : 0) +
      (unit.version === 2 ? 1 : 0);
    let table = this.#tables.get(key);
    if (table === undefined) {
      table = this.#read(unit);
      this.#tables.set(key, table);
    }
    return table;
  }

  #read(unit: DwarfUnit): ReadonlyMap<number, Abbreviation> {
    const table = new Map<number, Abbreviation>();
    const cursor = new ByteCursor(this.#section, unit.abbreviationsAt);
    for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
      const tag = cursor.uleb();
      const hasChildren = cursor.u8() !== 0;
      const attributes: AttributeFormat[] = [];
      let sizeBytes: number | undefined = 0;
      for (;;) {
        if (++this.#count > ABBREVIATIONS_MAX) throw new RangeError('Too many abbreviations');
        if (attributes.length > ATTRIBUTES_MAX) throw new RangeError('Too many attributes');
        this.#budget.spend(ATTRIBUTE_SIZE_BYTES);
        const attribute = cursor.uleb();
        const form = cursor.uleb();
        if (attribute === 0 && form === 0) break;
        attributes.push(
          form === DW_FORM_implicit_const ? { attribute, form, constant: cursor.sleb() } : { attribute, form },
        );
        const formSizeBytes = fixedSizeBytes(form, unit);
        sizeBytes = sizeBytes === undefined || formSizeBytes === undefined ? undefined : sizeBytes + formSizeBytes;
      }
      table.set(code, { tag, hasChildren, attributes, sizeBytes });
    }
    return table;
  }
}
