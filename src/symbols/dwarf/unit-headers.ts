import { ByteCursor, ignoreDamage, readParts } from './byte-cursor.ts';

/** The debug sections of one executable file; empty where the file has none of that name. */
export interface DwarfSections {
  /** `.debug_line` */
  readonly line: Buffer;
  /** `.debug_line_str` */
  readonly lineStrings: Buffer;
  /** `.debug_str` */
  readonly strings: Buffer;
  /** `.debug_info` */
  readonly info: Buffer;
  /** `.debug_abbrev` */
  readonly abbreviations: Buffer;
  /** `.debug_str_offsets` */
  readonly stringOffsets: Buffer;
  /** `.debug_addr` */
  readonly addresses: Buffer;
  /** `.debug_ranges` */
  readonly ranges: Buffer;
  /** `.debug_rnglists` */
  readonly rangeLists: Buffer;
  /**
   * The low 32 bits of the addresses of {@link strings} and {@link lineStrings}. In DWARF 5, clang 14 with lld writes
   * addresses for offsets into them.
   */
  readonly stringsAddress?: number;
  readonly lineStringsAddress?: number;
}

/** One unit of `.debug_info`, of DWARF 2 to 5. Offsets count from the section's beginning. */
export interface DwarfUnit {
  readonly start: number;
  readonly end: number;
  /** Its first entry, which describes the unit. */
  readonly entriesAt: number;
  readonly isWide: boolean;
  readonly version: number;
  readonly addressSize: number;
  readonly abbreviationsAt: number;
}

const DW_UT_type = 2;
const DW_UT_skeleton = 4;
const DW_UT_split_compile = 5;
const DW_UT_split_type = 6;

/** No linker joins more units. */
const UNITS_MAX = 1 << 18;
/** Every kind of unit has at least this much behind its length. */
const UNIT_SIZE_BYTES_MIN = 7;

/** Where one unit of `.debug_info` or `.debug_line` lies. */
export interface UnitExtent {
  /** Offset of its length. */
  readonly start: number;
  /** Offset of the first byte behind its length. */
  readonly at: number;
  /** First byte after it. */
  readonly end: number;
  /** Its offsets have 64 bits. */
  readonly isWide: boolean;
}

/** The extents of the units of a section, in their order. A length that leads out of the section ends them. */
export function* listExtents(section: Buffer): Generator<UnitExtent> {
  const cursor = new ByteCursor(section, 0);
  for (let count = 0; count < UNITS_MAX && cursor.remaining >= 4; count++) {
    const start = cursor.at;
    let isWide = false;
    let end = section.length + 1;
    ignoreDamage(() => ({ isWide, end } = cursor.readLength()));
    if (end > section.length) return;
    if (end - cursor.at >= UNIT_SIZE_BYTES_MIN) yield { start, at: cursor.at, end, isWide };
    cursor.at = end;
  }
}

/** The units of a file in their order, by their headers. A damaged length ends the list. */
export function listUnits(info: Buffer): readonly DwarfUnit[] {
  const units: DwarfUnit[] = [];
  readParts(listExtents(info), (extent) => {
    const unit = readUnitHeader(info, extent);
    if (unit !== undefined) units.push(unit);
  });
  return units;
}

function readUnitHeader(info: Buffer, { start, at, end, isWide }: UnitExtent): DwarfUnit | undefined {
  const cursor = new ByteCursor(info, at, end);
  const version = cursor.u16();
  if (version < 2 || version > 5) return undefined;
  const kind = version >= 5 ? cursor.u8() : 1;
  const addressSizeOfVersion5 = version >= 5 ? cursor.u8() : 0;
  const abbreviationsAt = cursor.offset(isWide);
  const addressSize = version >= 5 ? addressSizeOfVersion5 : cursor.u8();
  if (addressSize !== 4 && addressSize !== 8) return undefined;
  if (kind === DW_UT_skeleton || kind === DW_UT_split_compile) cursor.skip(8); // dwo_id
  if (kind === DW_UT_type || kind === DW_UT_split_type) cursor.skip(isWide ? 16 : 12); // type_signature, type_offset
  return { start, end, entriesAt: cursor.at, isWide, version, addressSize, abbreviationsAt };
}
