import { ByteCursor } from './byte-cursor.ts';

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
   * The low 32 bits of the addresses of {@link strings} and {@link lineStrings}. clang 14 with lld writes offsets into
   * them in DWARF 5 as addresses; see {@link textAt}.
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

/** How the entries of one kind are spelled. */
export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  readonly attributes: readonly AttributeFormat[];
  /** All its attributes together; undefined where that differs from entry to entry. */
  readonly sizeBytes: number | undefined;
}

/** One attribute of an {@link Abbreviation}. */
interface AttributeFormat {
  readonly attribute: number;
  readonly form: number;
  /** The value itself, where it stands in the abbreviation (`DW_FORM_implicit_const`). */
  readonly constant?: number;
}

/** A value as it stands in the file: a number, an offset or an index, by its form. */
export interface RawValue {
  readonly form: number;
  /** NaN for values that nobody asks for: blocks, expressions, 16 bytes. */
  readonly value: number;
}

const DW_UT_type = 2;
const DW_UT_skeleton = 4;
const DW_UT_split_compile = 5;
const DW_UT_split_type = 6;

const DW_FORM_addr = 0x01;
const DW_FORM_string = 0x08;
const DW_FORM_strp = 0x0e;
const DW_FORM_ref_addr = 0x10;
const DW_FORM_indirect = 0x16;
const DW_FORM_line_strp = 0x1f;
const DW_FORM_implicit_const = 0x21;
const DW_FORM_addrx = 0x1b;
const DW_FORM_GNU_addr_index = 0x1f01;
const DW_FORM_GNU_str_index = 0x1f02;

/** More declarations than these, over all tables of a file, are damage: the tables overlap. */
const ABBREVIATIONS_MAX = 1 << 20;

/** The units of a file in their order, without reading what is in them. A damaged length ends the list. */
function listUnits(info: Buffer): readonly DwarfUnit[] {
  const units: DwarfUnit[] = [];
  for (let at = 0; at + 4 <= info.length; ) {
    const start = at;
    try {
      const length = new ByteCursor(info, start);
      const { isWide, end } = length.readLength();
      at = end;
      const cursor = new ByteCursor(info, length.at, end);
      const unit = readUnitHeader(cursor, start, end, isWide);
      if (unit !== undefined) units.push(unit);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      if (at <= start) break;
    }
  }
  return units;
}

function readUnitHeader(cursor: ByteCursor, start: number, end: number, isWide: boolean): DwarfUnit | undefined {
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

/** The tables of abbreviations of one file, each read once. */
class AbbreviationTables {
  readonly #section: Buffer;
  readonly #tables = new Map<number, ReadonlyMap<number, Abbreviation>>();
  #count = 0;

  constructor(section: Buffer) {
    this.#section = section;
  }

  /**
   * The abbreviations of a unit, by their code.
   *
   * @throws RangeError when the table is damaged
   */
  of(unit: DwarfUnit): ReadonlyMap<number, Abbreviation> {
    // Two forms have another size in another unit, and units that share a table differ in neither in real files.
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

/** The size of a value of a form; undefined where it differs from value to value. DWARF 5, 7.5.6. */
function fixedSizeBytes(form: number, unit: DwarfUnit): number | undefined {
  switch (form) {
    case 0x19: // DW_FORM_flag_present
    case DW_FORM_implicit_const:
      return 0;
    case 0x0b: // DW_FORM_data1
    case 0x0c: // DW_FORM_flag
    case 0x11: // DW_FORM_ref1
    case 0x25: // DW_FORM_strx1
    case 0x29: // DW_FORM_addrx1
      return 1;
    case 0x05: // DW_FORM_data2
    case 0x12: // DW_FORM_ref2
    case 0x26: // DW_FORM_strx2
    case 0x2a: // DW_FORM_addrx2
      return 2;
    case 0x27: // DW_FORM_strx3
    case 0x2b: // DW_FORM_addrx3
      return 3;
    case 0x06: // DW_FORM_data4
    case 0x13: // DW_FORM_ref4
    case 0x1c: // DW_FORM_ref_sup4
    case 0x28: // DW_FORM_strx4
    case 0x2c: // DW_FORM_addrx4
      return 4;
    case 0x07: // DW_FORM_data8
    case 0x14: // DW_FORM_ref8
    case 0x20: // DW_FORM_ref_sig8
    case 0x24: // DW_FORM_ref_sup8
      return 8;
    case 0x1e: // DW_FORM_data16
      return 16;
    case DW_FORM_addr:
      return unit.addressSize;
    case DW_FORM_ref_addr: // in DWARF 2 of the size of an address
      return unit.version === 2 ? unit.addressSize : unit.isWide ? 8 : 4;
    case DW_FORM_strp:
    case 0x17: // DW_FORM_sec_offset
    case 0x1d: // DW_FORM_strp_sup
    case DW_FORM_line_strp:
    case 0x1f20: // DW_FORM_GNU_ref_alt
    case 0x1f21: // DW_FORM_GNU_strp_alt
      return unit.isWide ? 8 : 4;
    default:
      return undefined;
  }
}

/**
 * Reads one value.
 *
 * @throws RangeError at the end of the unit, and for a form that is none
 */
export function readRaw(cursor: ByteCursor, format: AttributeFormat, unit: DwarfUnit): RawValue {
  let { form } = format;
  if (format.constant !== undefined) return { form, value: format.constant };
  while (form === DW_FORM_indirect) form = cursor.uleb();
  switch (fixedSizeBytes(form, unit)) {
    case 0:
      return { form, value: 1 };
    case 1:
      return { form, value: cursor.u8() };
    case 2:
      return { form, value: cursor.u16() };
    case 3:
      return { form, value: cursor.u16() + cursor.u8() * 65_536 };
    case 4:
      return { form, value: cursor.u32() };
    case 8:
      return { form, value: cursor.u64() };
    case 16:
      cursor.skip(16);
      return { form, value: NaN };
  }
  switch (form) {
    case DW_FORM_string: {
      const value = cursor.at;
      cursor.skipText();
      return { form, value };
    }
    case 0x0d: // DW_FORM_sdata
      return { form, value: cursor.sleb() };
    case 0x0f: // DW_FORM_udata
    case 0x15: // DW_FORM_ref_udata
    case 0x1a: // DW_FORM_strx
    case DW_FORM_addrx:
    case 0x22: // DW_FORM_loclistx
    case 0x23: // DW_FORM_rnglistx
    case DW_FORM_GNU_addr_index:
    case DW_FORM_GNU_str_index:
      return { form, value: cursor.uleb() };
    case 0x03: // DW_FORM_block2
      cursor.skip(cursor.u16());
      return { form, value: NaN };
    case 0x04: // DW_FORM_block4
      cursor.skip(cursor.u32());
      return { form, value: NaN };
    case 0x0a: // DW_FORM_block1
      cursor.skip(cursor.u8());
      return { form, value: NaN };
    case 0x09: // DW_FORM_block
    case 0x18: // DW_FORM_exprloc
      cursor.skip(cursor.uleb());
      return { form, value: NaN };
    default:
      throw new RangeError(`Unknown form 0x${form.toString(16)}`);
  }
}

/** The offset in `.debug_info` that a reference means; undefined for one into another file or a type unit. */
export function referenceOf({ form, value }: RawValue, unit: DwarfUnit): number | undefined {
  if (form === DW_FORM_ref_addr) return value;
  const isLocal = (form >= 0x11 && form <= 0x14) || form === 0x15; // DW_FORM_ref1, 2, 4, 8, DW_FORM_ref_udata
  return isLocal ? unit.start + value : undefined;
}

/** Where a unit's indexed addresses, strings and range lists begin, in their sections. */
export interface UnitBases {
  readonly addresses: number;
  readonly stringOffsets: number;
  readonly rangeLists: number;
}

/** The address that a value means; undefined where it is no address. @throws RangeError when its index leads nowhere */
export function addressOf(
  { form, value }: RawValue,
  unit: DwarfUnit,
  bases: UnitBases,
  sections: DwarfSections,
): number | undefined {
  if (form === DW_FORM_addr) return value;
  const isIndex = form === DW_FORM_addrx || form === DW_FORM_GNU_addr_index || (form >= 0x29 && form <= 0x2c);
  return isIndex ? addressAt(value, unit, bases, sections) : undefined;
}

/** An address of `.debug_addr`. @throws RangeError when the index leads nowhere */
export function addressAt(index: number, unit: DwarfUnit, bases: UnitBases, sections: DwarfSections): number {
  const cursor = new ByteCursor(sections.addresses, bases.addresses + index * unit.addressSize);
  return unit.addressSize === 8 ? cursor.u64() : cursor.u32();
}

/** The text that a value means; undefined where it is no text. @throws RangeError when it leads nowhere */
function textOf(
  { form, value }: RawValue,
  unit: DwarfUnit,
  bases: UnitBases,
  sections: DwarfSections,
): string | undefined {
  if (form === DW_FORM_string) return new ByteCursor(sections.info, value).text();
  if (form === DW_FORM_strp) return textAt(sections.strings, value, sections.stringsAddress);
  if (form === DW_FORM_line_strp) return textAt(sections.lineStrings, value, sections.lineStringsAddress);
  // DW_FORM_strx, strx1 … strx4
  if (form !== 0x1a && form !== DW_FORM_GNU_str_index && !(form >= 0x25 && form <= 0x28)) return undefined;
  const offset = new ByteCursor(sections.stringOffsets, bases.stringOffsets + value * (unit.isWide ? 8 : 4)).offset(
    unit.isWide,
  );
  return textAt(sections.strings, offset, sections.stringsAddress);
}

/**
 * The text at an offset of a section of strings. An offset that leads out of it is tried as the low half of an address:
 * what clang 14 and lld leave in DWARF 5 for Windows, where the linker is asked for the wrong kind of relocation.
 *
 * @throws RangeError when there is none
 */
function textAt(section: Buffer, offset: number, sectionAddress: number | undefined): string {
  const isAddress = offset >= section.length && sectionAddress !== undefined;
  return new ByteCursor(section, isAddress ? (offset - sectionAddress) % 2 ** 32 : offset).text();
}

const DW_AT_stmt_list = 0x10;
const DW_AT_low_pc = 0x11;
const DW_AT_high_pc = 0x12;
const DW_AT_comp_dir = 0x1b;
const DW_AT_ranges = 0x55;
const DW_AT_str_offsets_base = 0x72;
const DW_AT_addr_base = 0x73;
const DW_AT_rnglists_base = 0x74;

/** What a unit says of all that is in it. */
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

/** The units of a file with what their first entries say; a unit that is damaged is missing. */
export class DwarfUnits {
  readonly sections: DwarfSections;
  readonly abbreviations: AbbreviationTables;
  readonly roots: readonly UnitRoot[];

  constructor(sections: DwarfSections) {
    this.sections = sections;
    this.abbreviations = new AbbreviationTables(sections.abbreviations);
    this.roots = listUnits(sections.info).flatMap((unit) => {
      try {
        return [this.#readRoot(unit)];
      } catch (error) {
        if (error instanceof RangeError) return [];
        throw error;
      }
    });
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
    const directory = directoryValue && readText(directoryValue, unit, bases, this.sections);
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

/** {@link textOf}, with undefined for what leads nowhere. */
export function readText(
  value: RawValue,
  unit: DwarfUnit,
  bases: UnitBases,
  sections: DwarfSections,
): string | undefined {
  try {
    return textOf(value, unit, bases, sections);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
