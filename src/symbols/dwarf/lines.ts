import { lastAtOrBelow } from '../sorted-search.ts';
import { ByteCursor } from './byte-cursor.ts';
import type { DwarfSections, DwarfUnit } from './unit-headers.ts';
import type { DwarfUnits } from './units.ts';
import { readRaw, readText, type UnitBases } from './values.ts';

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
/** No compiler names files by the indexed forms. */
const NO_BASES: UnitBases = { addresses: 0, stringOffsets: 0, rangeLists: 0 };

/**
 * The line tables of a file, DWARF 2 to 5.
 *
 * We read them ourselves, although Wine's dbghelp does too: of several lines for one address it gives the first, and
 * the last one is the code's [ran, Wine 8]; it does not read DWARF 5; and Windows' dbghelp reads no DWARF at all.
 *
 * A damaged unit ends the reading of that unit; nothing throws. https://dwarfstd.org/doc/DWARF5.pdf (6.2)
 */
export class DwarfLines {
  readonly #sequences: Sequence[] = [];
  /** For each row its address and line, and its file as an index of its sequence's files. */
  #rows = new Float64Array(4096);
  #rowCount = 0;

  /** For each line table, by its offset: its files, by their number. */
  readonly #files = new Map<number, readonly string[]>();

  /** @param imageBase what the addresses in the tables count from: the base that the linker gave the file */
  constructor({ sections, roots }: DwarfUnits, imageBase: number) {
    const directories = new Map(roots.map(({ lineTable, directory }) => [lineTable, directory]));
    const { line } = sections;
    for (let at = 0; at + 4 <= line.length; ) {
      const unit = new ByteCursor(line, at);
      try {
        const { isWide, end } = unit.readLength();
        at = end;
        this.#readUnit(
          new ByteCursor(line, unit.at, end),
          unit.start,
          isWide,
          directories.get(unit.start) ?? '',
          sections,
          imageBase,
        );
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
    const sequence = sequences[lastAtOrBelow(sequences.length, (index) => sequences[index]!.begin, rva)];
    if (sequence === undefined || rva >= sequence.end) return undefined;
    // The last row at or below the address: of several for one address the last is the one that has code.
    const row = lastAtOrBelow(sequence.rowCount, (index) => this.#rows[(sequence.firstRow + index) * 3]!, rva);
    const at = (sequence.firstRow + row) * 3;
    const line = this.#rows[at + 1]!;
    const file = sequence.files[this.#rows[at + 2]!];
    return line === 0 || file === undefined ? undefined : { file, line };
  }

  /** The name of a file, by its number in the line table at an offset. */
  fileOf(lineTable: number, file: number): string | undefined {
    const name = this.#files.get(lineTable)?.[file];
    return name === '' ? undefined : name;
  }

  #readUnit(
    unit: ByteCursor,
    unitStart: number,
    isWide: boolean,
    compilationDirectory: string,
    sections: DwarfSections,
    imageBase: number,
  ): void {
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
    this.#files.set(unitStart, files);

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
function readFilesOfVersion4(unit: ByteCursor, compilationDirectory: string): readonly string[] {
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
  unit: ByteCursor,
  isWide: boolean,
  sections: DwarfSections,
  compilationDirectory: string,
): readonly string[] {
  const context: DwarfUnit = { start: 0, end: 0, entriesAt: 0, isWide, version: 5, addressSize: 8, abbreviationsAt: 0 };
  const own = { ...sections, info: sections.line }; // DW_FORM_string stands in this section
  const readEntries = (): { path: string; directory: number }[] => {
    const formats = Array.from({ length: unit.u8() }, () => ({ attribute: unit.uleb(), form: unit.uleb() }));
    const count = unit.uleb();
    if (formats.length === 0 || count > unit.remaining) throw new RangeError('More files than bytes to name them');
    const entries: { path: string; directory: number }[] = [];
    for (let i = 0; i < count; i++) {
      const entry = { path: '', directory: 0 };
      for (const format of formats) {
        const raw = readRaw(unit, format, context);
        if (format.attribute === DW_LNCT_path) entry.path = readText(raw, context, NO_BASES, own) ?? '';
        if (format.attribute === DW_LNCT_directory_index) entry.directory = raw.value;
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

function join(directory: string, name: string): string {
  if (directory === '' || /^(?:[\\/]|[a-z]:)/i.test(name)) return name;
  return /[\\/]$/.test(directory) ? directory + name : `${directory}/${name}`;
}
