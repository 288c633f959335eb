import { lastAtOrBelow } from '../sorted-search.ts';
import type { Abbreviation } from './abbreviations.ts';
import { ByteCursor, ignoreDamage } from './byte-cursor.ts';
import type { SpanIndex } from './span-index.ts';
import type { DwarfUnit } from './unit-headers.ts';
import type { DwarfUnits, UnitRoot } from './units.ts';
import { type AttributeFormat, type RawValue, readRaw, referenceOf } from './values.ts';

/** An entry of `.debug_info` that names something, or has code. */
export interface Entry {
  readonly tag: number;
  readonly root: UnitRoot;
  readonly parent: Entry | undefined;
  name?: RawValue;
  linkageName?: RawValue;
  /** Offset of the entry with more about this one: its declaration, or the function that was inlined. */
  origin?: number;
  lowAddress?: RawValue;
  highAddress?: RawValue;
  ranges?: RawValue;
  callFile?: number;
  callLine?: number;
  /** The functions that were inlined into this one, in any of its blocks. */
  inlined?: Entry[];
  /** {@link inlined} by address, made for the first look-up. */
  inlinedSpans?: SpanIndex<Entry>;
}

const DW_TAG_class_type = 0x02;
const DW_TAG_structure_type = 0x13;
const DW_TAG_union_type = 0x17;
const DW_TAG_inlined_subroutine = 0x1d;
const DW_TAG_module = 0x1e;
export const DW_TAG_subprogram = 0x2e;
const DW_TAG_interface_type = 0x38;
export const DW_TAG_namespace = 0x39;
const DW_TAG_enumeration_type = 0x04;
const DW_AT_name = 0x03;
const DW_AT_low_pc = 0x11;
const DW_AT_high_pc = 0x12;
const DW_AT_abstract_origin = 0x31;
const DW_AT_specification = 0x47;
const DW_AT_ranges = 0x55;
const DW_AT_call_file = 0x58;
const DW_AT_call_line = 0x59;
const DW_AT_linkage_name = 0x6e;
const DW_AT_MIPS_linkage_name = 0x2007;

export const scopes: ReadonlySet<number> = new Set([
  ...[DW_TAG_class_type, DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_interface_type, DW_TAG_enumeration_type],
  ...[DW_TAG_module, DW_TAG_namespace],
]);
const kept: ReadonlySet<number> = new Set([...scopes, DW_TAG_inlined_subroutine, DW_TAG_subprogram]);

/** Approximate size of an entry in memory, with its values and its place in the map of its unit. */
const ENTRY_SIZE_BYTES = 400;
/** Compilers nest a few dozen levels. */
const LEVELS_MAX = 4096;
/** A value takes more than a byte on average. Values that take none must not be read without end. */
const VALUES_PER_BYTE_MAX = 2;

/**
 * The entries of a file that name something or have code. A unit is read when one of its entries is first needed. A
 * damaged unit has the entries before the damage.
 */
export class DwarfEntries {
  readonly #units: DwarfUnits;
  readonly #read = new Map<UnitRoot, ReadonlyMap<number, Entry>>();

  #valuesLeft: number;

  constructor(units: DwarfUnits) {
    this.#units = units;
    this.#valuesLeft = VALUES_PER_BYTE_MAX * units.sections.info.length;
  }

  /** The entries of a unit, by their offset in `.debug_info`. */
  of(root: UnitRoot): ReadonlyMap<number, Entry> {
    const known = this.#read.get(root);
    if (known !== undefined) return known;
    const entries = new Map<number, Entry>();
    ignoreDamage(() => this.#readEntries(root, entries));
    this.#read.set(root, entries);
    return entries;
  }

  /**
   * The entry at an offset of `.debug_info`, which may be in another unit: link-time optimisation inlines across them.
   */
  at(offset: number, near: UnitRoot): Entry | undefined {
    const isIn = ({ unit }: UnitRoot): boolean => offset >= unit.start && offset < unit.end;
    if (isIn(near)) return this.of(near).get(offset);
    const { roots } = this.#units;
    const root = roots[lastAtOrBelow(roots.length, (index) => roots[index]!.unit.start, offset)];
    return root && isIn(root) ? this.of(root).get(offset) : undefined;
  }

  /** Reads a unit's tree; what was read before damage remains. */
  #readEntries(root: UnitRoot, entries: Map<number, Entry>): void {
    const { unit } = root;
    const abbreviations = this.#units.abbreviations.of(unit);
    const cursor = new ByteCursor(this.#units.sections.info, unit.entriesAt, unit.end);
    /** The nearest entry above each open level that is kept. */
    const above: (Entry | undefined)[] = [];
    while (!cursor.isAtEnd) {
      const offset = cursor.at;
      const code = cursor.uleb();
      if (code === 0) {
        if (above.length === 0) return;
        above.pop();
        continue;
      }
      const abbreviation = abbreviations.get(code);
      if (abbreviation === undefined) return;
      const parent = above.at(-1);
      let entry: Entry | undefined;
      if (kept.has(abbreviation.tag)) {
        entry = this.#readEntry(cursor, abbreviation, root, parent);
        entries.set(offset, entry);
        if (entry.tag === DW_TAG_inlined_subroutine && parent !== undefined) (parent.inlined ??= []).push(entry);
      } else if (abbreviation.sizeBytes !== undefined) {
        cursor.skip(abbreviation.sizeBytes);
      } else {
        for (const format of abbreviation.attributes) this.#readValue(cursor, format, unit);
      }
      if (!abbreviation.hasChildren) continue;
      if (above.length >= LEVELS_MAX) throw new RangeError('Entries are nested too deep');
      above.push(entry ?? parent);
    }
  }

  #readEntry(cursor: ByteCursor, { tag, attributes }: Abbreviation, root: UnitRoot, parent: Entry | undefined): Entry {
    this.#units.budget.spend(ENTRY_SIZE_BYTES);
    const entry: Entry = { tag, root, parent };
    for (const format of attributes) {
      const raw = this.#readValue(cursor, format, root.unit);
      switch (format.attribute) {
        case DW_AT_name:
          entry.name = raw;
          break;
        case DW_AT_linkage_name:
        case DW_AT_MIPS_linkage_name:
          entry.linkageName = raw;
          break;
        case DW_AT_abstract_origin:
        case DW_AT_specification: {
          const origin = referenceOf(raw, root.unit);
          if (origin !== undefined) entry.origin = origin;
          break;
        }
        case DW_AT_low_pc:
          entry.lowAddress = raw;
          break;
        case DW_AT_high_pc:
          entry.highAddress = raw;
          break;
        case DW_AT_ranges:
          entry.ranges = raw;
          break;
        case DW_AT_call_file:
          entry.callFile = raw.value;
          break;
        case DW_AT_call_line:
          entry.callLine = raw.value;
          break;
      }
    }
    return entry;
  }
  #readValue(cursor: ByteCursor, format: AttributeFormat, unit: DwarfUnit): RawValue {
    if (--this.#valuesLeft < 0) throw new RangeError('Too many values');
    return readRaw(cursor, format, unit);
  }
}
