import { ByteCursor, textAt } from './byte-cursor.ts';
import type { DwarfSections, DwarfUnit } from './unit-headers.ts';

/** One attribute of an {@link Abbreviation}. */
export interface AttributeFormat {
  readonly attribute: number;
  readonly form: number;
  /** The value itself, where it stands in the abbreviation (`DW_FORM_implicit_const`). */
  readonly constant?: number;
}

/** A value in its form in the file: a number, an offset or an index. */
export interface RawValue {
  readonly form: number;
  /** NaN for values that are not needed: blocks, expressions, 16 bytes. */
  readonly value: number;
}

export const DW_FORM_addr = 0x01;
const DW_FORM_string = 0x08;
const DW_FORM_strp = 0x0e;
const DW_FORM_ref_addr = 0x10;
const DW_FORM_indirect = 0x16;
const DW_FORM_line_strp = 0x1f;
export const DW_FORM_implicit_const = 0x21;
const DW_FORM_addrx = 0x1b;
const DW_FORM_GNU_addr_index = 0x1f01;
const DW_FORM_GNU_str_index = 0x1f02;

/** The size of a value of a form; undefined where it differs from value to value. DWARF 5, 7.5.6. */
export function fixedSizeBytes(form: number, unit: DwarfUnit): number | undefined {
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
 * @throws RangeError at the end of the unit, and for an unknown form
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

/** The offset in `.debug_info` that a reference leads to; undefined for one into another file or a type unit. */
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

/** The text that a value means; `undefined` where it is no text, or leads to none. */
export function textOf(
  { form, value }: RawValue,
  unit: DwarfUnit,
  bases: UnitBases,
  sections: DwarfSections,
): string | undefined {
  if (form === DW_FORM_string) return textAt(sections.info, value);
  if (form === DW_FORM_strp) return sharedText(sections.strings, value, sections.stringsAddress);
  if (form === DW_FORM_line_strp) return sharedText(sections.lineStrings, value, sections.lineStringsAddress);
  // DW_FORM_strx, strx1 … strx4
  if (form !== 0x1a && form !== DW_FORM_GNU_str_index && !(form >= 0x25 && form <= 0x28)) return undefined;
  const sizeBytes = unit.isWide ? 8 : 4;
  const at = bases.stringOffsets + value * sizeBytes;
  if (!(at + sizeBytes <= sections.stringOffsets.length)) return undefined;
  const offset = new ByteCursor(sections.stringOffsets, at).offset(unit.isWide);
  return sharedText(sections.strings, offset, sections.stringsAddress);
}

/**
 * The text at an offset of a section of strings. An offset that leads out of it is tried as the low half of an address:
 * clang 14 and lld leave that in DWARF 5 for Windows, where the linker is asked for the wrong kind of relocation.
 */
function sharedText(section: Buffer, offset: number, sectionAddress: number | undefined): string | undefined {
  const isAddress = offset >= section.length && sectionAddress !== undefined;
  return textAt(section, isAddress ? (offset - sectionAddress) % 2 ** 32 : offset);
}
