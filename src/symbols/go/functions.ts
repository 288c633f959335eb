import { ignoreDamage, textAt } from '../dwarf/byte-cursor.ts';
import type { SourceLine } from '../dwarf/lines.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import { lastAtOrBelow } from '../sorted-search.ts';
import { findGoTables, type GoImage, type GoTables, type TableVersion } from './find-table.ts';

/** A function of Go that holds an address, or that the compiler put into such a one. */
interface NamedLine {
  /** With its package: `main.(*store).open`, `example.com/kept.Map[...]`. */
  readonly name: string;
  /** The line in it that the address, or the call of the next inner function, belongs to. */
  readonly line?: SourceLine;
}

/** The function of Go that holds an address. */
export interface GoFunction extends NamedLine {
  /** Relative to the image. */
  readonly begin: number;
  /** The functions that were inlined at the address, the innermost first. */
  readonly inlined: readonly NamedLine[];
}

/** Offsets of the fields of `runtime._func`. */
const fields: Readonly<Record<TableVersion, { name: number; data: number }>> = {
  '1.16': { name: 8, data: 44 },
  '1.18': { name: 4, data: 40 },
  '1.20': { name: 4, data: 44 },
};
/** Fields behind the name. */
const FILE_TABLE = 16;
const LINE_TABLE = 20;
const DATA_COUNT = 24;
const UNIT = 28;
/** PCDATA_InlTreeIndex and FUNCDATA_InlTree, https://go.dev/src/internal/abi/symtab.go */
const INLINED_INDEX_TABLE = 2;
const INLINED_TREE = 3;
const NO_DATA = 0xffff_ffff;
/** `runtime.inlinedCall`: its size, and where its name and the place of the call are. */
const inlinedCall: Readonly<Record<TableVersion, { sizeBytes: number; name: number; callAt: number }>> = {
  '1.16': { sizeBytes: 20, name: 12, callAt: 16 },
  '1.18': { sizeBytes: 20, name: 12, callAt: 16 },
  '1.20': { sizeBytes: 16, name: 4, callAt: 8 },
};

const INLINED_DEPTH_MAX = 64;
/**
 * The steps through tables of values for all addresses of a file. A look-up takes some hundreds of them; a table that
 * was made to take time has millions.
 */
const STEPS_MAX = 2 ** 26;
/** Approximate size in memory of a text, without its characters. */
const TEXT_SIZE_BYTES = 100;

/** One function's entry in the table. */
interface Entry {
  /** Relative to the beginning of the Go code. */
  readonly begin: number;
  readonly end: number;
  /** Offset of its `runtime._func` in the table. */
  readonly at: number;
}

/**
 * The functions of a Go program, by its own table. The Go runtime needs the table for its tracebacks and its garbage
 * collector, so it is in every program.
 *
 * A damaged entry has no name; nothing throws.
 */
export class GoFunctions {
  readonly #image: GoImage;
  readonly #tables: GoTables;
  readonly #budget: MemoryBudget;
  /** Names of functions and files, by their places in the table. */
  readonly #texts = new Map<number, string | undefined>();
  #stepsLeft = STEPS_MAX;

  private constructor(image: GoImage, tables: GoTables, budget: MemoryBudget) {
    this.#image = image;
    this.#tables = tables;
    this.#budget = budget;
  }

  /**
   * Those of a program; `undefined` where it is none of Go.
   *
   * @param budget limits what is kept of the file
   */
  static find(image: GoImage, budget: MemoryBudget): GoFunctions | undefined {
    const tables = findGoTables(image);
    return tables === undefined ? undefined : new GoFunctions(image, tables, budget);
  }

  /** Where the code of Go lies, relative to the image. Other code of the program lies outside. */
  get code(): { readonly begin: number; readonly sizeBytes: number } {
    const { textBegin, textEnd } = this.#tables;
    return { begin: textBegin, sizeBytes: textEnd - textBegin };
  }

  /** The function that holds an address. */
  find(rva: number): GoFunction | undefined {
    const { textBegin, textEnd } = this.#tables;
    if (!(rva >= textBegin && rva < textEnd)) return undefined;
    let found: GoFunction | undefined;
    ignoreDamage(() => {
      found = this.#read(rva - textBegin);
    });
    return found;
  }

  #read(place: number): GoFunction | undefined {
    const entry = this.#entryOf(place);
    if (entry === undefined) return undefined;
    const { version, table, textBegin } = this.#tables;
    const name = this.#nameAt(table.readUInt32LE(entry.at + fields[version].name));
    if (name === undefined) return undefined;
    const names: string[] = [];
    const places = [place];
    let known = true;
    for (let depth = 0; depth < INLINED_DEPTH_MAX; depth++) {
      const index = this.#inlinedIndex(entry, places.at(-1)!);
      if (index < 0) break;
      const call = this.#readInlinedCall(entry, index);
      known = call !== undefined;
      if (call === undefined) break;
      names.push(call.name);
      places.push(entry.begin + call.callAt);
    }
    // An inlined function that the tables do not name has the line, and not the function around it. That one has the
    // line at which it begins: without a file the function would not be known to be Go's.
    const lines = places.map((each, index) =>
      this.#lineOf(entry, known || index < places.length - 1 ? each : entry.begin),
    );
    const outerLine = lines.at(-1);
    return {
      name,
      begin: textBegin + entry.begin,
      inlined: names.map((each, index) => ({ name: each, ...(lines[index] && { line: lines[index] }) })),
      ...(outerLine && { line: outerLine }),
    };
  }

  #entryOf(place: number): Entry | undefined {
    const { version, table, functions, functionCount, textBegin } = this.#tables;
    // Until Go 1.17 each row has two words: an address, and an offset. Since then it has two offsets of 32 bits.
    const rowSizeBytes = version === '1.16' ? 16 : 8;
    const beginOf = (index: number): number => {
      const at = functions + index * rowSizeBytes;
      if (version !== '1.16') return table.readUInt32LE(at);
      return table.readUInt32LE(at) + table.readUInt32LE(at + 4) * 2 ** 32 - this.#image.imageBase - textBegin;
    };
    const index = lastAtOrBelow(functionCount, beginOf, place);
    if (index < 0) return undefined;
    const [begin, end] = [beginOf(index), beginOf(index + 1)]; // a last row has the end of the code
    if (place >= end) return undefined;
    const at = functions + table.readUInt32LE(functions + index * rowSizeBytes + rowSizeBytes / 2);
    return { begin, end, at };
  }

  /** The name at an offset: names follow each other, each with a zero at its end. */
  #nameAt(offset: number): string | undefined {
    const { table, names, units } = this.#tables;
    if (names + offset >= units || (offset > 0 && table[names + offset - 1] !== 0)) return undefined;
    const name = this.#textAt(names + offset);
    return name && withoutTypeArguments(name);
  }

  #textAt(at: number): string | undefined {
    if (this.#texts.has(at)) return this.#texts.get(at);
    const text = textAt(this.#tables.table, at) || undefined;
    this.#budget.spend(TEXT_SIZE_BYTES + 2 * (text?.length ?? 0));
    this.#texts.set(at, text);
    return text;
  }

  #lineOf(entry: Entry, place: number): SourceLine | undefined {
    const { version, table, units, files } = this.#tables;
    const at = entry.at + fields[version].name;
    const line = this.#valueAt(table.readUInt32LE(at + LINE_TABLE), entry, place);
    const file = this.#valueAt(table.readUInt32LE(at + FILE_TABLE), entry, place);
    if (!(line > 0 && file >= 0)) return undefined;
    const offset = table.readUInt32LE(units + (table.readUInt32LE(at + UNIT) + file) * 4);
    const path = offset === NO_DATA ? undefined : this.#textAt(files + offset);
    return path === undefined ? undefined : { file: path, line };
  }

  /** Which call of the function's tree of inlined calls an address belongs to, or -1. */
  #inlinedIndex(entry: Entry, place: number): number {
    const { version, table } = this.#tables;
    const { name, data } = fields[version];
    if (table.readUInt32LE(entry.at + name + DATA_COUNT) <= INLINED_INDEX_TABLE) return -1;
    return this.#valueAt(table.readUInt32LE(entry.at + data + INLINED_INDEX_TABLE * 4), entry, place);
  }

  #readInlinedCall(entry: Entry, index: number): { name: string; callAt: number } | undefined {
    const { version, table, functionData } = this.#tables;
    const { name, data } = fields[version];
    if (functionData === undefined || table[entry.at + data - 1]! <= INLINED_TREE) return undefined; // u8 nfuncdata
    const dataAt = entry.at + data + (table.readUInt32LE(entry.at + name + DATA_COUNT) + INLINED_TREE) * 4;
    const tree = table.readUInt32LE(dataAt);
    if (tree === NO_DATA) return undefined;
    const layout = inlinedCall[version];
    const call = this.#image.readAt(functionData + tree + index * layout.sizeBytes, layout.sizeBytes);
    if (call === undefined) return undefined;
    const called = this.#nameAt(call.readUInt32LE(layout.name));
    const callAt = call.readUInt32LE(layout.callAt);
    return called === undefined || callAt >= entry.end - entry.begin ? undefined : { name: called, callAt };
  }

  /**
   * The value of a table for an address. Each step of a table is a difference of the value and one of the address, both
   * of variable length; the first value counts from -1.
   */
  #valueAt(offset: number, { begin }: Entry, place: number): number {
    if (offset === 0) return -1; // the function has no such table
    const { table, values, functions } = this.#tables;
    let at = values + offset;
    const read = (): number => {
      let number = 0;
      for (let shift = 0; shift < 35; shift += 7) {
        if (at >= functions) throw new RangeError('A table ends early');
        const byte = table[at++]!;
        number += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return number;
      }
      throw new RangeError('A number is too long');
    };
    let value = -1;
    let address = begin;
    for (let step = 0; ; step++) {
      if (--this.#stepsLeft < 0) throw new RangeError('The tables take too many steps');
      const difference = read();
      if (difference === 0 && step > 0) return -1;
      value += difference % 2 === 1 ? -(difference + 1) / 2 : difference / 2;
      address += read();
      if (place < address) return value;
    }
  }
}

/**
 * A name as Go's own stack traces show it. Its compilers since 1.21 write the shapes of type arguments into names, as
 * in `main.open[go.shape.*uint8]`, and earlier ones `main.open[...]` (funcNameForPrint in Go's src/runtime/symtab.go).
 */
export function withoutTypeArguments(name: string): string {
  const [begin, end] = [name.indexOf('['), name.lastIndexOf(']')];
  return begin === -1 || end <= begin ? name : `${name.slice(0, begin)}[...]${name.slice(end + 1)}`;
}
