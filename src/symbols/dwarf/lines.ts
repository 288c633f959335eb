import { lastAtOrBelow } from '../sorted-search.ts';
import { ByteCursor, ignoreDamage, readParts } from './byte-cursor.ts';
import { readFiles } from './line-files.ts';
import { type LineProgram, readLineProgram, runSequence } from './line-program.ts';
import { listExtents } from './unit-headers.ts';
import type { DwarfUnits } from './units.ts';

/** A place in a source file. */
export interface SourceLine {
  /** The path that the compiler was given, behind the directory that it ran in; with slashes of either kind. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

/** Code whose rows ascend without a gap: one function or one section, say. */
interface Sequence {
  readonly begin: number;
  /** First address after it. */
  readonly end: number;
  readonly program: LineProgram;
  /** Where its first instruction is in `.debug_line`. */
  readonly at: number;
  readonly rowCount: number;
  /** The address, the line and the file's number of each row; made for the first look-up in the sequence. */
  rows?: Float64Array;
}

/** Approximate sizes in memory. */
const SEQUENCE_SIZE_BYTES = 200;
const UNIT_SIZE_BYTES = 400;
const ROW_SIZE_BYTES = 24;

/**
 * The line tables of a file, DWARF 2 to 5.
 *
 * We read DWARF ourselves. Windows' own reader of debug information, dbghelp, knows none, and that of Wine knows old
 * versions only.
 *
 * The rows of a table are many times as large as its bytes. So at first only the addresses of its sequences are kept.
 * The rows of a sequence are made for the first look-up in it.
 *
 * A damaged unit ends the reading of that unit; nothing throws. https://dwarfstd.org/doc/DWARF5.pdf (6.2)
 */
export class DwarfLines {
  readonly #units: DwarfUnits;
  readonly #imageBase: number;
  readonly #sequences: Sequence[] = [];
  /** By the offset of their table. */
  readonly #programs = new Map<number, LineProgram>();
  /** The files of the line tables that were needed, by the offset of the table and the number of the file. */
  readonly #files = new Map<number, readonly string[]>();
  #rowCount = 0;

  /** @param imageBase what the addresses in the tables count from: the base that the linker gave the file */
  constructor(units: DwarfUnits, imageBase: number) {
    this.#units = units;
    this.#imageBase = imageBase;
    const { sections, roots, budget } = units;
    const directories = new Map(roots.map(({ lineTable, directory }) => [lineTable, directory]));
    readParts(listExtents(sections.line), (extent) => {
      const program = readLineProgram(sections.line, extent, directories.get(extent.start) ?? '');
      if (program === undefined) return;
      budget.spend(UNIT_SIZE_BYTES);
      this.#programs.set(extent.start, program);
      this.#listSequences(program);
    });
    this.#sequences.sort((a, b) => a.begin - b.begin);
  }

  /** How many sequences and rows are kept in memory. */
  get kept(): { readonly sequences: number; readonly rows: number } {
    return { sequences: this.#sequences.length, rows: this.#rowCount };
  }

  /** The line whose code an address is in. */
  find(rva: number): SourceLine | undefined {
    const sequences = this.#sequences;
    const sequence = sequences[lastAtOrBelow(sequences.length, (index) => sequences[index]!.begin, rva)];
    if (sequence === undefined || rva >= sequence.end) return undefined;
    const rows = (sequence.rows ??= this.#readRows(sequence));
    // The last of several rows for one address is the one that has code.
    const row = lastAtOrBelow(rows.length / 3, (index) => rows[index * 3]!, rva);
    if (row < 0) return undefined;
    const line = rows[row * 3 + 1]!;
    const file = this.fileOf(sequence.program.start, rows[row * 3 + 2]!);
    return file === undefined || !(line > 0 && line < 2 ** 32) ? undefined : { file, line };
  }

  /** The name of a file, by its number in the line table at an offset. */
  fileOf(lineTable: number, file: number): string | undefined {
    let files = this.#files.get(lineTable);
    if (files === undefined) {
      files = this.#readFiles(lineTable);
      this.#files.set(lineTable, files);
    }
    return files[file] || undefined;
  }

  #listSequences(program: LineProgram): void {
    const cursor = new ByteCursor(this.#units.sections.line, program.at, program.end);
    while (!cursor.isAtEnd) {
      const { at } = cursor;
      let begin = 0;
      let rowCount = 0;
      const endAddress = runSequence(cursor, program, (address) => {
        if (rowCount++ === 0) begin = address - this.#imageBase;
      });
      const end = endAddress - this.#imageBase;
      // Code that the linker discarded still has rows, at addresses near zero.
      if (rowCount === 0 || begin < 0 || end <= begin) continue;
      this.#units.budget.spend(SEQUENCE_SIZE_BYTES);
      this.#sequences.push({ begin, end, program, at, rowCount });
    }
  }

  /** Makes the rows; none where no memory is left for them. */
  #readRows({ program, at, rowCount }: Sequence): Float64Array {
    if (!this.#units.budget.take(rowCount * ROW_SIZE_BYTES)) return new Float64Array(0);
    const rows = new Float64Array(rowCount * 3);
    const cursor = new ByteCursor(this.#units.sections.line, at, program.end);
    let index = 0;
    runSequence(cursor, program, (address, line, file) => {
      rows[index++] = address - this.#imageBase;
      rows[index++] = line;
      rows[index++] = file;
    });
    this.#rowCount += rowCount;
    return rows;
  }

  #readFiles(lineTable: number): readonly string[] {
    const program = this.#programs.get(lineTable);
    let files: readonly string[] = [];
    if (program === undefined) return files;
    const { sections, budget } = this.#units;
    const cursor = new ByteCursor(sections.line, program.filesAt, program.end);
    ignoreDamage(() => {
      files = readFiles({ ...program, cursor }, sections, budget);
    });
    return files;
  }
}
