import type { MemoryBudget } from '../memory-budget.ts';
import { ByteCursor, DAMAGED_PARTS_MAX, ignoreDamage } from './byte-cursor.ts';
import type { Span } from './span-index.ts';
import type { DwarfSections } from './unit-headers.ts';
import type { DwarfUnits, UnitRoot } from './units.ts';
import { addressAt, addressOf, DW_FORM_addr, type RawValue } from './values.ts';

const DW_FORM_rnglistx = 0x23;

/** How often a list of ranges may be read on average: any number of entries could refer to the same long one. */
const RANGE_READS_MAX = 4;
/** Approximate size of a span in memory, with its place in an index. */
const SPAN_SIZE_BYTES = 120;

/** Where the code of an entry lies, in the forms of DWARF 2 to 5. */
interface AddressValues {
  readonly lowAddress?: RawValue;
  readonly highAddress?: RawValue;
  readonly ranges?: RawValue;
}

/** Reads the addresses of entries. */
export class SpanReader {
  readonly #sections: DwarfSections;
  readonly #budget: MemoryBudget;
  readonly #imageBase: number;
  #rowsLeft: number;
  #damagedCount = 0;

  /** @param imageBase what the addresses count from: the base that the linker gave the file */
  constructor({ sections, budget }: DwarfUnits, imageBase: number) {
    this.#sections = sections;
    this.#budget = budget;
    this.#imageBase = imageBase;
    // A row of .debug_ranges takes at least 8 bytes, and a row of .debug_rnglists one.
    this.#rowsLeft = RANGE_READS_MAX * Math.ceil(sections.ranges.length / 8 + sections.rangeLists.length);
  }

  /** The spans of an entry; those before damage where its list is damaged. */
  read({ lowAddress, highAddress, ranges }: AddressValues, root: UnitRoot): readonly Span[] {
    const { unit, bases } = root;
    const sections = this.#sections;
    const spans: Span[] = [];
    const add = (low: number, high: number): void => {
      // Code that the linker discarded has addresses near zero.
      if (low < this.#imageBase || high <= low) return;
      this.#budget.spend(SPAN_SIZE_BYTES);
      spans.push({ begin: low - this.#imageBase, end: high - this.#imageBase });
    };
    if (this.#damagedCount > DAMAGED_PARTS_MAX) return spans;
    const isWhole = ignoreDamage(() => {
      if (ranges !== undefined) {
        const base = (root.lowAddress && addressOf(root.lowAddress, unit, bases, sections)) ?? 0;
        if (unit.version >= 5) this.#readRangeList(ranges, base, root, add);
        else this.#readRanges(ranges.value, base, root, add);
        return;
      }
      const low = lowAddress && addressOf(lowAddress, unit, bases, sections);
      if (low === undefined || highAddress === undefined) return;
      // A high address that is no address is the size. DWARF 4, 2.17.2
      add(low, highAddress.form === DW_FORM_addr ? highAddress.value : low + highAddress.value);
    });
    if (!isWhole) this.#damagedCount++;
    return spans;
  }

  #countRow(): void {
    if (--this.#rowsLeft < 0) throw new RangeError('Too many ranges');
  }

  /** DWARF 2 to 4, 2.17.3: pairs of addresses, up to a pair of zeros. */
  #readRanges(offset: number, base: number, { unit }: UnitRoot, add: (low: number, high: number) => void): void {
    const cursor = new ByteCursor(this.#sections.ranges, offset);
    const read = (): number => (unit.addressSize === 8 ? cursor.u64() : cursor.u32());
    const highest = unit.addressSize === 8 ? 2 ** 64 : 2 ** 32 - 1;
    for (;;) {
      this.#countRow();
      const low = read();
      const high = read();
      if (low === 0 && high === 0) return;
      if (low === highest) base = high;
      else add(base + low, base + high);
    }
  }

  /** DWARF 5, 2.17.3 and 7.25: entries of several kinds, up to one that ends the list. */
  #readRangeList(
    { form, value }: RawValue,
    base: number,
    { unit, bases }: UnitRoot,
    add: (low: number, high: number) => void,
  ): void {
    let offset = value;
    if (form === DW_FORM_rnglistx) {
      const table = new ByteCursor(this.#sections.rangeLists, bases.rangeLists + value * (unit.isWide ? 8 : 4));
      offset = bases.rangeLists + table.offset(unit.isWide);
    }
    const cursor = new ByteCursor(this.#sections.rangeLists, offset);
    const read = (): number => (unit.addressSize === 8 ? cursor.u64() : cursor.u32());
    const indexed = (): number => addressAt(cursor.uleb(), unit, bases, this.#sections);
    for (;;) {
      this.#countRow();
      const kind = cursor.u8();
      let low: number;
      switch (kind) {
        case 0: // DW_RLE_end_of_list
          return;
        case 1: // DW_RLE_base_addressx
          base = indexed();
          break;
        case 2: // DW_RLE_startx_endx
          low = indexed();
          add(low, indexed());
          break;
        case 3: // DW_RLE_startx_length
          low = indexed();
          add(low, low + cursor.uleb());
          break;
        case 4: // DW_RLE_offset_pair
          low = base + cursor.uleb();
          add(low, base + cursor.uleb());
          break;
        case 5: // DW_RLE_base_address
          base = read();
          break;
        case 6: // DW_RLE_start_end
          low = read();
          add(low, read());
          break;
        case 7: // DW_RLE_start_length
          low = read();
          add(low, low + cursor.uleb());
          break;
        default:
          throw new RangeError(`Unknown range ${kind}`);
      }
    }
  }
}
