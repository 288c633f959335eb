import type { Abbreviation } from './abbreviations.ts';
import { ByteCursor, ignoreDamage } from './byte-cursor.ts';
import type { Span } from './span-index.ts';
import type { DwarfUnits, UnitRoot } from './units.ts';
import { type RawValue, readRaw, referenceOf } from './values.ts';

/** An entry of `.debug_info` that names something, or has code. */
export interface Entry {
  readonly tag: number;
  readonly root: UnitRoot;
  readonly parent: Entry | undefined;
  name?: RawValue;
  linkageName?: RawValue;
  /** Offset of the entry that says more of the same thing: its declaration, or the function that was inlined. */
  origin?: number;
  lowAddress?: RawValue;
  highAddress?: RawValue;
  ranges?: RawValue;
  callFile?: number;
  callLine?: number;
  /** What was inlined into this one, whatever the blocks around it. */
  inlined?: Entry[];
  spans?: readonly Span[];
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

/**
 * The entries of a file that name something or have code. A unit is read when the first of its entries is asked for;
 * of a damaged unit there are those before the damage.
 */
export class DwarfEntries {
  readonly #units: DwarfUnits;
  readonly #read = new Map<UnitRoot, ReadonlyMap<number, Entry>>();

  constructor(units: DwarfUnits) {
    this.#units = units;
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
    const root = isIn(near) ? near : this.#units.roots.find(isIn);
    return root && this.of(root).get(offset);
  }

  /** Reads a unit's tree; what was read before damage remains. */
  #readEntries(root: UnitRoot, entries: Map<number, Entry>): void {
    const { unit } = root;
    const abbreviations = this.#units.abbreviations.of(unit);
    const cursor = new ByteCursor(this.#units.sections.info, unit.entriesAt, unit.end);
    /** For each level that is open: the nearest entry above it that is kept. */
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
        for (const format of abbreviation.attributes) readRaw(cursor, format, unit);
      }
      if (abbreviation.hasChildren) above.push(entry ?? parent);
    }
  }

  #readEntry(cursor: ByteCursor, { tag, attributes }: Abbreviation, root: UnitRoot, parent: Entry | undefined): Entry {
    const entry: Entry = { tag, root, parent };
    for (const format of attributes) {
      const raw = readRaw(cursor, format, root.unit);
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
}
