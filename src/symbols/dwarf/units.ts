import type { MemoryBudget } from '../memory-budget.ts';
import { AbbreviationTables } from './abbreviations.ts';
import { ByteCursor, readParts } from './byte-cursor.ts';
import { type DwarfSections, type DwarfUnit, listUnits } from './unit-headers.ts';
import { type RawValue, readRaw, textOf, type UnitBases } from './values.ts';

const DW_AT_stmt_list = 0x10;
const DW_AT_low_pc = 0x11;
const DW_AT_high_pc = 0x12;
const DW_AT_comp_dir = 0x1b;
const DW_AT_ranges = 0x55;
const DW_AT_str_offsets_base = 0x72;
const DW_AT_addr_base = 0x73;
const DW_AT_rnglists_base = 0x74;

/** The first entry of a unit, which describes the whole unit. */
export interface UnitRoot {
  readonly unit: DwarfUnit;
  readonly bases: UnitBases;
  /** Offset in `.debug_line` of the unit's line table. */
  readonly lineTable?: number;
  /** The directory that the compiler ran in. */
  readonly directory?: string;
  readonly lowAddress?: RawValue;
  readonly highAddress?: RawValue;
  readonly ranges?: RawValue;
}

/** Approximate size of a unit and its root in memory, without the name of its directory. */
const ROOT_SIZE_BYTES = 600;

/** The units of a file with their first entries; a damaged unit is missing. */
export class DwarfUnits {
  readonly sections: DwarfSections;
  readonly budget: MemoryBudget;
  readonly abbreviations: AbbreviationTables;
  /** By ascending offset. */
  readonly roots: readonly UnitRoot[];

  /** @param budget limits what is kept of the file */
  constructor(sections: DwarfSections, budget: MemoryBudget) {
    this.sections = sections;
    this.budget = budget;
    this.abbreviations = new AbbreviationTables(sections.abbreviations, budget);
    const roots: UnitRoot[] = [];
    readParts(listUnits(sections.info), (unit) => roots.push(this.#readRoot(unit)));
    this.roots = roots;
  }

  #readRoot(unit: DwarfUnit): UnitRoot {
    const cursor = new ByteCursor(this.sections.info, unit.entriesAt, unit.end);
    const abbreviation = this.abbreviations.of(unit).get(cursor.uleb());
    const values = new Map<number, RawValue>();
    for (const format of abbreviation?.attributes ?? []) values.set(format.attribute, readRaw(cursor, format, unit));
    const valueOf = (attribute: number): number | undefined => values.get(attribute)?.value;
    const headerSizeBytes = unit.isWide ? 16 : 8;
    const bases: UnitBases = {
      // Without these attributes the unit means the section's first table, after its header.
      addresses: valueOf(DW_AT_addr_base) ?? headerSizeBytes,
      stringOffsets: valueOf(DW_AT_str_offsets_base) ?? headerSizeBytes,
      rangeLists: valueOf(DW_AT_rnglists_base) ?? headerSizeBytes + 4,
    };
    const lineTable = valueOf(DW_AT_stmt_list);
    const directoryValue = values.get(DW_AT_comp_dir);
    const directory = directoryValue && textOf(directoryValue, unit, bases, this.sections);
    this.budget.spend(ROOT_SIZE_BYTES + 2 * (directory?.length ?? 0));
    const [lowAddress, highAddress, ranges] = [DW_AT_low_pc, DW_AT_high_pc, DW_AT_ranges].map((attribute) =>
      values.get(attribute),
    );
    return {
      unit,
      bases,
      ...(lineTable === undefined ? {} : { lineTable }),
      ...(directory === undefined ? {} : { directory }),
      ...(lowAddress && { lowAddress }),
      ...(highAddress && { highAddress }),
      ...(ranges && { ranges }),
    };
  }
}
