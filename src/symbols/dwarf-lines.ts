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
}

/** A place in a source file. */
export interface SourceLine {
  /** As the compiler was told it, after the directory that it ran in: may have slashes of either kind. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

/** Code whose rows ascend without a gap: one function or one section, say. */
interface Sequence {
  readonly begin: number;
  /** First address after it. */
  readonly end: number;
  /** Its rows in {@link DwarfLines}' arrays. */
  readonly firstRow: number;
  readonly rowCount: number;
  readonly files: readonly string[];
}

const DW_LNS_copy = 1;
const DW_LNS_advance_pc = 2;
const DW_LNS_advance_line = 3;
const DW_LNS_set_file = 4;
const DW_LNS_const_add_pc = 8;
const DW_LNS_fixed_advance_pc = 9;
const DW_LNE_end_sequence = 1;
const DW_LNE_set_address = 2;
const DW_LNCT_path = 1;
const DW_LNCT_directory_index = 2;
const DW_AT_stmt_list = 0x10;
const DW_AT_comp_dir = 0x1b;
/** Ten bytes hold 64 bits. */
const LEB_FACTOR_MAX = 128 ** 10;

/**
 * The line tables of a file, DWARF 2 to 5.
 *
 * We read them ourselves, although Wine's dbghelp does too: of several lines for one address it gives the first, and the
 * last one is the code's [ran, Wine 8]; it does not read DWARF 5; and Windows' dbghelp reads no DWARF at all.
 *
 * A damaged unit ends the reading of that unit; nothing throws. https://dwarfstd.org/doc/DWARF5.pdf (6.2)
 */
export class DwarfLines {
  readonly #sequences: Sequence[] = [];
  /** For each row its address and line, and its file as an index of its sequence's files. */
  #rows = new Float64Array(4096);
  #rowCount = 0;

  /** @param imageBase what the addresses in the tables count from: the base that the linker gave the file */
  constructor(sections: DwarfSections, imageBase: number) {
    const directories = readCompilationDirectories(sections);
    const { line } = sections;
    for (let at = 0; at + 4 <= line.length; ) {
      const unit = new Cursor(line, at);
      try {
        const { isWide, end } = unit.readLength();
        at = end;
        this.#readUnit(new Cursor(line, unit.at, end), isWide, directories.get(unit.start) ?? '', sections, imageBase);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        if (at <= unit.start) break;
      }
    }
    this.#sequences.sort((a, b) => a.begin - b.begin);
  }

  /** The line whose code an address is in. */
  find(rva: number): SourceLine | undefined {
    const sequences = this.#sequences;
    let low = 0;
    let high = sequences.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sequences[middle]!.begin <= rva) low = middle + 1;
      else high = middle;
    }
    const sequence = sequences[low - 1];
    if (sequence === undefined || rva >= sequence.end) return undefined;
    // The last row at or below the address: of several for one address the last is the one that has code.
    let row = sequence.firstRow;
    let rowEnd = row + sequence.rowCount;
    while (row < rowEnd) {
      const middle = (row + rowEnd) >>> 1;
      if (this.#rows[middle * 3]! <= rva) row = middle + 1;
      else rowEnd = middle;
    }
    const at = (row - 1) * 3;
    const line = this.#rows[at + 1]!;
    const file = sequence.files[this.#rows[at + 2]!];
    return line === 0 || file === undefined ? undefined : { file, line };
  }

  #readUnit(unit: Cursor, isWide: boolean, compilationDirectory: string, sections: DwarfSections, imageBase: number): void {
    const version = unit.u16();
    if (version < 2 || version > 5) return;
    if (version >= 5) unit.skip(2); // address_size, segment_selector_size
    const programStart = unit.offset(isWide) + unit.at;
    const instructionSize = unit.u8();
    if (version >= 4) unit.skip(1); // maximum_operations_per_instruction: 1 but for VLIW machines
    unit.skip(1); // default_is_stmt
    const lineBase = unit.i8();
    const lineRange = unit.u8();
    const opcodeBase = unit.u8();
    if (lineRange === 0 || opcodeBase === 0) return;
    const operandCounts = Array.from({ length: opcodeBase - 1 }, () => unit.u8());
    const files =
      version >= 5
        ? readFilesOfVersion5(unit, isWide, sections, compilationDirectory)
        : readFilesOfVersion4(unit, compilationDirectory);

    unit.at = programStart;
    let address = 0;
    let file = 1;
    let line = 1;
    let firstRow = this.#rowCount;
    const advance = (opcode: number): void => {
      address += Math.floor(opcode / lineRange) * instructionSize;
    };
    while (!unit.isAtEnd) {
      const opcode = unit.u8();
      if (opcode >= opcodeBase) {
        advance(opcode - opcodeBase);
        line += lineBase + ((opcode - opcodeBase) % lineRange);
        this.#addRow(address - imageBase, line, file);
      } else if (opcode === 0) {
        const sizeBytes = unit.uleb();
        const end = unit.at + sizeBytes;
        if (sizeBytes > 0) {
          const extended = unit.u8();
          if (extended === DW_LNE_set_address) address = sizeBytes === 9 ? unit.u64() : unit.u32();
          if (extended === DW_LNE_end_sequence) {
            this.#endSequence(firstRow, address - imageBase, files);
            firstRow = this.#rowCount;
            address = 0;
            file = 1;
            line = 1;
          }
        }
        unit.at = end;
      } else if (opcode === DW_LNS_copy) {
        this.#addRow(address - imageBase, line, file);
      } else if (opcode === DW_LNS_advance_pc) {
        address += unit.uleb() * instructionSize;
      } else if (opcode === DW_LNS_advance_line) {
        line += unit.sleb();
      } else if (opcode === DW_LNS_set_file) {
        file = unit.uleb();
      } else if (opcode === DW_LNS_const_add_pc) {
        advance(255 - opcodeBase);
      } else if (opcode === DW_LNS_fixed_advance_pc) {
        address += unit.u16();
      } else {
        for (let i = operandCounts[opcode - 1]!; i > 0; i--) unit.uleb();
      }
    }
  }

  #addRow(rva: number, line: number, file: number): void {
    if ((this.#rowCount + 1) * 3 > this.#rows.length) {
      const grown = new Float64Array(this.#rows.length * 2);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows.set([rva, line, file], this.#rowCount++ * 3);
  }

  #endSequence(firstRow: number, end: number, files: readonly string[]): void {
    const rowCount = this.#rowCount - firstRow;
    const begin = this.#rows[firstRow * 3]!;
    // Code that the linker threw away has its rows left, at addresses near zero.
    if (rowCount === 0 || begin < 0 || end <= begin) {
      this.#rowCount = firstRow;
      return;
    }
    this.#sequences.push({ begin, end, firstRow, rowCount, files });
  }
}

/** Files count from 1, and directory 0 is the one that the compiler ran in. */
function readFilesOfVersion4(unit: Cursor, compilationDirectory: string): readonly string[] {
  const directories = [compilationDirectory];
  for (let name = unit.text(); name !== ''; name = unit.text()) directories.push(join(compilationDirectory, name));
  const files = [''];
  for (let name = unit.text(); name !== ''; name = unit.text()) {
    files.push(join(directories[unit.uleb()] ?? '', name));
    unit.uleb(); // time of last modification
    unit.uleb(); // size
  }
  return files;
}

/** Files count from 0, and the directory that the compiler ran in is spelled out as directory 0. */
function readFilesOfVersion5(
  unit: Cursor,
  isWide: boolean,
  sections: DwarfSections,
  compilationDirectory: string,
): readonly string[] {
  const readEntries = (): { path: string; directory: number }[] => {
    const formats = Array.from({ length: unit.u8() }, () => ({ content: unit.uleb(), form: unit.uleb() }));
    const count = unit.uleb();
    if (formats.length === 0 || count > unit.remaining) throw new RangeError('More files than bytes to name them');
    const entries: { path: string; directory: number }[] = [];
    for (let i = 0; i < count; i++) {
      const entry = { path: '', directory: 0 };
      for (const { content, form } of formats) {
        const value = readForm(unit, form, { isWide, addressSize: 8, version: 5, sections });
        if (content === DW_LNCT_path && typeof value === 'string') entry.path = value;
        if (content === DW_LNCT_directory_index && typeof value === 'number') entry.directory = value;
      }
      entries.push(entry);
    }
    return entries;
  };
  const directories = readEntries().map(({ path }, index, all) => {
    return join(index === 0 ? compilationDirectory : (all[0]?.path ?? ''), path);
  });
  return readEntries().map(({ path, directory }) => join(directories[directory] ?? '', path));
}

/** The directory that the compiler ran in, for each line table (by its offset): it stands in the unit's first entry. */
function readCompilationDirectories(sections: DwarfSections): ReadonlyMap<number, string> {
  const directories = new Map<number, string>();
  const { info } = sections;
  for (let at = 0; at + 4 <= info.length; ) {
    const start = at;
    try {
      const cursor = new Cursor(info, start);
      const { isWide, end } = cursor.readLength();
      at = end;
      const found = readRootEntry(new Cursor(info, cursor.at, end), isWide, sections);
      if (found.lineTable !== undefined && found.directory !== undefined) directories.set(found.lineTable, found.directory);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      if (at <= start) break;
    }
  }
  return directories;
}

function readRootEntry(
  unit: Cursor,
  isWide: boolean,
  sections: DwarfSections,
): { lineTable?: number; directory?: string } {
  const DW_UT_skeleton = 4;
  const DW_UT_split_compile = 5;
  const version = unit.u16();
  if (version < 2 || version > 5) return {};
  let addressSize: number;
  let abbreviations: number;
  if (version >= 5) {
    const kind = unit.u8();
    addressSize = unit.u8();
    abbreviations = unit.offset(isWide);
    if (kind === DW_UT_skeleton || kind === DW_UT_split_compile) unit.skip(8); // dwo_id
  } else {
    abbreviations = unit.offset(isWide);
    addressSize = unit.u8();
  }
  const code = unit.uleb();
  const found: { lineTable?: number; directory?: string } = {};
  for (const { attribute, form, constant } of readAbbreviation(sections.abbreviations, abbreviations, code)) {
    const value = constant ?? readForm(unit, form, { isWide, addressSize, version, sections });
    if (attribute === DW_AT_stmt_list && typeof value === 'number') found.lineTable = value;
    if (attribute === DW_AT_comp_dir && typeof value === 'string') found.directory = value;
  }
  return found;
}

function readAbbreviation(
  section: Buffer,
  offset: number,
  code: number,
): readonly { attribute: number; form: number; constant?: number }[] {
  const DW_FORM_implicit_const = 0x21;
  const cursor = new Cursor(section, offset);
  for (;;) {
    const current = cursor.uleb();
    if (current === 0) return [];
    cursor.uleb(); // tag
    cursor.skip(1); // has children
    const attributes: { attribute: number; form: number; constant?: number }[] = [];
    for (;;) {
      const attribute = cursor.uleb();
      const form = cursor.uleb();
      if (attribute === 0 && form === 0) break;
      attributes.push(form === DW_FORM_implicit_const ? { attribute, form, constant: cursor.sleb() } : { attribute, form });
    }
    if (current === code) return attributes;
  }
}

interface FormContext {
  readonly isWide: boolean;
  readonly addressSize: number;
  readonly version: number;
  readonly sections: DwarfSections;
}

/** Reads one attribute's value, or skips it where nobody asks for its kind. DWARF 5, 7.5.6. */
function readForm(cursor: Cursor, form: number, context: FormContext): number | string | undefined {
  switch (form) {
    case 0x01: // DW_FORM_addr
      return void cursor.skip(context.addressSize);
    case 0x03: // DW_FORM_block2
      return void cursor.skip(cursor.u16());
    case 0x04: // DW_FORM_block4
      return void cursor.skip(cursor.u32());
    case 0x05: // DW_FORM_data2
    case 0x12: // DW_FORM_ref2
    case 0x26: // DW_FORM_strx2
    case 0x2a: // DW_FORM_addrx2
      return cursor.u16();
    case 0x06: // DW_FORM_data4
    case 0x13: // DW_FORM_ref4
    case 0x1c: // DW_FORM_ref_sup4
    case 0x28: // DW_FORM_strx4
    case 0x2c: // DW_FORM_addrx4
      return cursor.u32();
    case 0x07: // DW_FORM_data8
    case 0x14: // DW_FORM_ref8
    case 0x20: // DW_FORM_ref_sig8
    case 0x24: // DW_FORM_ref_sup8
      return void cursor.skip(8);
    case 0x08: // DW_FORM_string
      return cursor.text();
    case 0x09: // DW_FORM_block
    case 0x18: // DW_FORM_exprloc
      return void cursor.skip(cursor.uleb());
    case 0x0a: // DW_FORM_block1
      return void cursor.skip(cursor.u8());
    case 0x0b: // DW_FORM_data1
    case 0x0c: // DW_FORM_flag
    case 0x11: // DW_FORM_ref1
    case 0x25: // DW_FORM_strx1
    case 0x29: // DW_FORM_addrx1
      return cursor.u8();
    case 0x0d: // DW_FORM_sdata
      return cursor.sleb();
    case 0x0e: // DW_FORM_strp
      return new Cursor(context.sections.strings, cursor.offset(context.isWide)).text();
    case 0x0f: // DW_FORM_udata
    case 0x15: // DW_FORM_ref_udata
    case 0x1a: // DW_FORM_strx
    case 0x1b: // DW_FORM_addrx
    case 0x22: // DW_FORM_loclistx
    case 0x23: // DW_FORM_rnglistx
      return cursor.uleb();
    case 0x10: // DW_FORM_ref_addr: in DWARF 2 of the size of an address
      return context.version === 2 ? void cursor.skip(context.addressSize) : cursor.offset(context.isWide);
    case 0x16: // DW_FORM_indirect
      return readForm(cursor, cursor.uleb(), context);
    case 0x17: // DW_FORM_sec_offset
    case 0x1d: // DW_FORM_strp_sup
      return cursor.offset(context.isWide);
    case 0x19: // DW_FORM_flag_present
    case 0x21: // DW_FORM_implicit_const
      return undefined;
    case 0x1e: // DW_FORM_data16
      return void cursor.skip(16);
    case 0x1f: // DW_FORM_line_strp
      return new Cursor(context.sections.lineStrings, cursor.offset(context.isWide)).text();
    case 0x27: // DW_FORM_strx3
    case 0x2b: // DW_FORM_addrx3
      return void cursor.skip(3);
    default:
      throw new RangeError(`Unknown form 0x${form.toString(16)}`);
  }
}

function join(directory: string, name: string): string {
  if (directory === '' || /^(?:[\\/]|[a-z]:)/i.test(name)) return name;
  return /[\\/]$/.test(directory) ? directory + name : `${directory}/${name}`;
}

/** Reads forward through a part of a buffer. @throws RangeError beyond its end */
class Cursor {
  readonly start: number;
  at: number;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number = bytes.length) {
    if (start < 0 || start > bytes.length || end > bytes.length) throw new RangeError('A section ends early');
    this.#bytes = bytes;
    this.start = start;
    this.at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#end;
  }

  get remaining(): number {
    return Math.max(0, this.#end - this.at);
  }

  skip(sizeBytes: number): void {
    if (this.at + sizeBytes > this.#end) throw new RangeError('A section ends early');
    this.at += sizeBytes;
  }

  u8(): number {
    this.skip(1);
    return this.#bytes[this.at - 1]!;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    this.skip(2);
    return this.#bytes.readUInt16LE(this.at - 2);
  }

  u32(): number {
    this.skip(4);
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  /** Exact up to 2^53, which no address or length of a real file exceeds. */
  u64(): number {
    this.skip(8);
    return this.#bytes.readUInt32LE(this.at - 8) + this.#bytes.readUInt32LE(this.at - 4) * 2 ** 32;
  }

  offset(isWide: boolean): number {
    return isWide ? this.u64() : this.u32();
  }

  /** A unit's length, and where it ends. */
  readLength(): { isWide: boolean; end: number } {
    const short = this.u32();
    const isWide = short === 0xffff_ffff;
    const sizeBytes = isWide ? this.u64() : short;
    return { isWide, end: this.at + sizeBytes };
  }

  uleb(): number {
    let value = 0;
    for (let factor = 1; factor < LEB_FACTOR_MAX; factor *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new RangeError('A number is too long');
  }

  sleb(): number {
    let value = 0;
    for (let factor = 1; factor < LEB_FACTOR_MAX; factor *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return (byte & 0x40) !== 0 ? value - factor * 128 : value;
    }
    throw new RangeError('A number is too long');
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0 || end >= this.#end) throw new RangeError('A text has no end');
    const text = this.#bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }
}
