import { ByteCursor } from '../dwarf/byte-cursor.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import { lastAtOrBelow } from '../sorted-search.ts';
import type { PdbLayout, PdbModuleInfo } from './dbi.ts';
import { type PdbStream, StreamWindow } from './msf.ts';
import { SpanTable } from './span-table.ts';

/** A line, and where its file is described among the file checksums of the object file. */
export interface PdbLine {
  readonly file: number;
  /** 1-based. */
  readonly line: number;
}

const DEBUG_S_LINES = 0xf2;
const DEBUG_S_FILECHKSMS = 0xf4;
const DEBUG_S_INLINEELINES = 0xf6;
/** The linker leaves such a part out. */
const DEBUG_S_IGNORE = 0x8000_0000;
const LINES_HEADER_SIZE_BYTES = 12;
const CV_INLINEE_SOURCE_LINE_SIGNATURE_EX = 1;
const LINE_MASK = 0xff_ffff;
/**
 * The compiler marks code that has no line with these numbers.
 * https://devblogs.microsoft.com/oldnewthing/20140815-00
 */
const noLines: ReadonlySet<number> = new Set([0, 0xf0_0f00, 0xfe_efee]);
/** Approximate size of the beginning of an inlined function in memory. */
const INLINEE_SIZE_BYTES = 120;
/** The offset, the line and the file of each row. */
const ROW_SIZE_BYTES = 12;
/** Approximate size of a file's number in memory. */
const FILE_SIZE_BYTES = 40;
/** A part of one object file: larger ones would take seconds. */
const PART_SIZE_BYTES_MAX = 1 << 24;
/** A row has eight bytes. */
const ROWS_MAX: number = PART_SIZE_BYTES_MAX / 8;

/**
 * The line tables of one object file (C13).
 *
 * At first only the places of its tables are kept; the rows of one are made for the first look-up in it. A damaged part
 * ends the reading: what stands before it is found.
 *
 * @see https://llvm.org/docs/PDB/ModiStream.html
 */
export class ModuleLines {
  readonly #stream: PdbStream;
  readonly #budget: MemoryBudget;
  readonly #toRva: PdbLayout['toRva'];
  readonly #at: number;
  readonly #end: number;
  /** By their code: where the table stands. */
  readonly #tables: SpanTable;
  readonly #rows = new Map<number, Uint32Array>();
  readonly #inlineeParts: { readonly at: number; readonly end: number }[] = [];
  #inlinees: Map<number, PdbLine> | undefined;
  #checksums: { readonly at: number; readonly end: number } | undefined;
  readonly #nameOffsets = new Map<number, number>();

  constructor(stream: PdbStream, module: PdbModuleInfo, toRva: PdbLayout['toRva'], budget: MemoryBudget) {
    this.#stream = stream;
    this.#budget = budget;
    this.#toRva = toRva;
    this.#at = module.symbolsSizeBytes + module.oldLinesSizeBytes;
    this.#end = Math.min(this.#at + module.linesSizeBytes, stream.sizeBytes);
    this.#tables = new SpanTable(budget);
  }

  /** Reads where each table lies. */
  read(): void {
    const window = new StreamWindow(this.#stream);
    // u32 kind, u32 size of what follows, which is padded to whole words
    for (let next = this.#at; next + 8 <= this.#end; ) {
      const header = window.seek(next, Math.min(8 + LINES_HEADER_SIZE_BYTES, this.#end - next));
      const at = next + 8;
      const sizeBytes = window.bytes.readUInt32LE(header + 4);
      if (at + sizeBytes > this.#end) throw new RangeError('Lines end early');
      next = at + Math.ceil(sizeBytes / 4) * 4;
      const kind = window.bytes.readUInt32LE(header);
      if ((kind & DEBUG_S_IGNORE) !== 0) continue;
      if (kind === DEBUG_S_LINES) this.#addTable(at, window.bytes, header);
      else if (kind === DEBUG_S_FILECHKSMS) this.#checksums ??= { at, end: at + sizeBytes };
      else if (kind === DEBUG_S_INLINEELINES) {
        this.#budget.spend(INLINEE_SIZE_BYTES);
        this.#inlineeParts.push({ at, end: at + sizeBytes });
      }
    }
  }

  /** u32 offCon, u16 segCon, u16 flags, u32 cbCon, behind the kind and the size */
  #addTable(at: number, bytes: Buffer, header: number): void {
    if (header + 8 + LINES_HEADER_SIZE_BYTES > bytes.length) throw new RangeError('Lines end early');
    const rva = this.#toRva(bytes.readUInt16LE(header + 12), bytes.readUInt32LE(header + 8));
    if (rva !== undefined) this.#tables.add(rva, bytes.readUInt32LE(header + 16), at);
  }

  /**
   * The line of the function whose code an address is in; not of those inlined there.
   *
   * @throws RangeError where the table is damaged, or finds no room in memory
   */
  find(rva: number): PdbLine | undefined {
    const table = this.#tables.find(rva);
    if (table === undefined) return undefined;
    let rows = this.#rows.get(table.value);
    if (rows === undefined) {
      this.#rows.set(table.value, (rows = new Uint32Array(0))); // a damaged one is read once
      this.#rows.set(table.value, (rows = this.#readRows(table.value)));
    }
    if (rows.length === 0) return undefined;
    // The last of several rows for one address is the one that has code. Before the first row stands code that was
    // inlined at the function's begin: clang writes no row for a call whose line has not changed.
    const row = Math.max(
      0,
      lastAtOrBelow(rows.length / 3, (index) => rows[index * 3]!, rva - table.begin),
    );
    const line = rows[row * 3 + 1]!;
    return noLines.has(line) ? undefined : { line, file: rows[row * 3 + 2]! };
  }

  /**
   * The rows by their offsets. Each block is of one file: u32 file, u32 count of lines, u32 size of the block; then for
   * each line u32 offset, u32 flags with the line; then, where the table has columns, two u16 for each line.
   */
  #readRows(at: number): Uint32Array {
    const sizeBytes = this.#stream.read(at - 4, 4).readUInt32LE(0);
    if (sizeBytes > PART_SIZE_BYTES_MAX) throw new RangeError('A line table is too long');
    const cursor = new ByteCursor(this.#stream.read(at, sizeBytes), LINES_HEADER_SIZE_BYTES);
    const rows: number[] = [];
    let isSorted = true;
    while (cursor.remaining >= 12) {
      const start = cursor.at;
      const file = cursor.u32();
      const count = cursor.u32();
      const blockSizeBytes = cursor.u32();
      if (count * 8 > cursor.remaining || blockSizeBytes < 12 + count * 8) throw new RangeError('Lines end early');
      this.#budget.spend(count * ROW_SIZE_BYTES);
      for (let index = 0; index < count; index++) {
        const offset = cursor.u32();
        isSorted &&= rows.length === 0 || rows.at(-3)! <= offset;
        rows.push(offset, cursor.u32() & LINE_MASK, file);
      }
      cursor.at = start;
      cursor.skip(blockSizeBytes);
    }
    // Each block is sorted, and a function with lines of several files has several blocks.
    return isSorted ? Uint32Array.from(rows) : sortRows(rows);
  }

  /**
   * Where an inlined function begins, by its number in the id stream.
   *
   * @throws RangeError where no memory is left
   */
  inlinee(id: number): PdbLine | undefined {
    if (this.#inlinees === undefined) {
      this.#inlinees = new Map();
      for (const { at, end } of this.#inlineeParts) this.#readInlinees(at, end, this.#inlinees);
    }
    return this.#inlinees.get(id);
  }

  /** u32 signature; then u32 inlinee, u32 file, u32 line and, by the signature, u32 count with as many other files */
  #readInlinees(at: number, end: number, inlinees: Map<number, PdbLine>): void {
    if (end - at > PART_SIZE_BYTES_MAX) return;
    const cursor = new ByteCursor(this.#stream.read(at, end - at), 0);
    const hasFiles = cursor.u32() === CV_INLINEE_SOURCE_LINE_SIGNATURE_EX;
    while (cursor.remaining >= 12) {
      const [id, file, line] = [cursor.u32(), cursor.u32(), cursor.u32()];
      if (hasFiles) cursor.skip(cursor.u32() * 4);
      if (inlinees.has(id)) continue;
      this.#budget.spend(INLINEE_SIZE_BYTES);
      inlinees.set(id, { file, line });
    }
  }

  /**
   * Where the name of a file stands in the table of names.
   *
   * @throws RangeError where there is no such file
   */
  nameAt(file: number): number {
    const known = this.#nameOffsets.get(file);
    if (known !== undefined) return known;
    if (this.#checksums === undefined || this.#checksums.at + file + 4 > this.#checksums.end)
      throw new RangeError('There is no such file');
    const offset = this.#stream.read(this.#checksums.at + file, 4).readUInt32LE(0);
    this.#budget.spend(FILE_SIZE_BYTES);
    this.#nameOffsets.set(file, offset);
    return offset;
  }
}

function sortRows(rows: readonly number[]): Uint32Array {
  // The offset and the row in one: plain numbers are sorted fast.
  const keys = new Float64Array(rows.length / 3).map((_, row) => rows[row * 3]! * ROWS_MAX + row).sort();
  const sorted = new Uint32Array(rows.length);
  keys.forEach((key, place) => {
    const row = key % ROWS_MAX;
    sorted.set(rows.slice(row * 3, row * 3 + 3), place * 3);
  });
  return sorted;
}
