import { ByteCursor } from '../dwarf/byte-cursor.ts';
import { SpanIndex } from '../dwarf/span-index.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { PdbStream } from './msf.ts';
import type { PdbProcedure } from './procedures.ts';

/** A function that the compiler put into another one. */
export interface InlineSite {
  /** The function, as a number of the id stream. */
  readonly inlinee: number;
  /** Its code, and the lines of it. */
  readonly rows: SpanIndex<InlineRow>;
  /** The functions that were put into it. */
  readonly inner: InlineSites;
}

/** The sites in one function, by their code. */
export type InlineSites = SpanIndex<InlineSite>;

/** A line of an inlined function. */
interface InlineRow {
  /** How many lines below the beginning of the function. */
  readonly lineDelta: number;
  /** Where its file is described, among the file checksums; absent for the file that the function begins in. */
  readonly file?: number;
}

const S_INLINESITE = 0x114d;
const S_INLINESITE2 = 0x115d;
/** u32 pParent, u32 pEnd, u32 inlinee, and in the second form u32 invocations; then the annotations */
const ANNOTATIONS_AT: Readonly<Record<number, number>> = { [S_INLINESITE]: 16, [S_INLINESITE2]: 20 };
/** No compiler nests as many. */
const DEPTH_MAX = 64;
/** Approximate sizes in memory. */
const SITE_SIZE_BYTES = 400;
const ROW_SIZE_BYTES = 160;

const CODE_OFFSET = 1;
const CHANGE_CODE_OFFSET = 3;
const CHANGE_CODE_LENGTH = 4;
const CHANGE_FILE = 5;
const CHANGE_LINE_OFFSET = 6;
const CHANGE_CODE_OFFSET_AND_LINE_OFFSET = 11;
const CHANGE_CODE_LENGTH_AND_CODE_OFFSET = 12;
const ANNOTATION_MAX = 13;

type Spans<Value> = { begin: number; end: number; value: Value }[];

/**
 * Reads what was inlined into a function.
 *
 * @throws RangeError where a symbol is damaged, or no memory is left
 */
export function readInlineSites(stream: PdbStream, procedure: PdbProcedure, budget: MemoryBudget): InlineSites {
  const { begin, childrenAt, childrenEnd } = procedure;
  const symbols = stream.read(childrenAt, childrenEnd - childrenAt);
  return readSites({ symbols, at: childrenAt, begin, budget }, { start: 0, end: symbols.length, depth: 0 });
}

interface Context {
  /** All symbols that belong to the function, and where they stand in the stream: symbols name others by that. */
  readonly symbols: Buffer;
  readonly at: number;
  /** Where the function begins: annotations count from there. */
  readonly begin: number;
  readonly budget: MemoryBudget;
}

function readSites(
  context: Context,
  { start, end, depth }: { readonly start: number; readonly end: number; readonly depth: number },
): InlineSites {
  const { symbols, budget } = context;
  const spans: Spans<InlineSite> = [];
  for (let at = start; at + 4 <= end; ) {
    const next = at + 2 + symbols.readUInt16LE(at); // u16 length of what follows, u16 kind
    if (next > end || next < at + 4) throw new RangeError('A symbol ends early');
    const annotationsAt = ANNOTATIONS_AT[symbols.readUInt16LE(at + 2)];
    if (annotationsAt === undefined) {
      at = next;
      continue;
    }
    budget.spend(SITE_SIZE_BYTES);
    const rows = readRows(context, new ByteCursor(symbols, at + annotationsAt, next));
    const last = symbols.readUInt32LE(at + 8) - context.at; // the S_INLINESITE_END, behind all that belongs to it
    const hasInner = last > next && last <= end && depth + 1 < DEPTH_MAX;
    const inner = hasInner ? readSites(context, { start: next, end: last, depth: depth + 1 }) : noSites;
    const site = { inlinee: symbols.readUInt32LE(at + 12), rows: new SpanIndex(rows), inner };
    for (const span of joinSpans(rows)) spans.push({ ...span, value: site });
    at = Math.max(next, Math.min(last, end));
  }
  return spans.length === 0 ? noSites : new SpanIndex(spans);
}

/** For a function that nothing was inlined into. */
export const noSites: InlineSites = new SpanIndex<InlineSite>([]);

/** Rows that follow each other without a gap are one span. */
function joinSpans(rows: Spans<InlineRow>): { begin: number; end: number }[] {
  const joined: { begin: number; end: number }[] = [];
  for (const { begin, end } of rows) {
    const last = joined.at(-1);
    if (last !== undefined && last.end === begin) last.end = end;
    else joined.push({ begin, end });
  }
  return joined;
}

/**
 * The lines of a site, from its annotations: numbers of one, two or four bytes, each an instruction or its operand.
 *
 * @see https://github.com/microsoft/microsoft-pdb/blob/master/include/cvinfo.h (BinaryAnnotationOpcode)
 */
function readRows({ begin, budget }: Context, cursor: ByteCursor): Spans<InlineRow> {
  const rows: Spans<InlineRow> = [];
  let codeOffset = 0;
  let lineDelta = 0;
  let file: number | undefined;
  /** A row has no end yet until the next one begins, or its length is given. */
  let isOpen = false;
  const endRow = (): void => {
    const row = rows.at(-1);
    if (isOpen && row !== undefined) row.end = begin + codeOffset;
    isOpen = false;
  };
  const beginRow = (): void => {
    endRow();
    budget.spend(ROW_SIZE_BYTES);
    const value = { lineDelta, ...(file === undefined ? {} : { file }) };
    rows.push({ begin: begin + codeOffset, end: begin + codeOffset, value });
    isOpen = true;
  };
  while (!cursor.isAtEnd) {
    const operation = readNumber(cursor);
    // Zero pads the symbol to whole words.
    if (operation === 0 || operation > ANNOTATION_MAX) break;
    const operand = readNumber(cursor);
    if (operation === CODE_OFFSET) {
      codeOffset = operand;
      beginRow();
    } else if (operation === CHANGE_CODE_OFFSET) {
      codeOffset += operand;
      beginRow();
    } else if (operation === CHANGE_CODE_LENGTH) {
      codeOffset += operand;
      endRow();
    } else if (operation === CHANGE_FILE) {
      file = operand;
    } else if (operation === CHANGE_LINE_OFFSET) {
      lineDelta += toSigned(operand);
    } else if (operation === CHANGE_CODE_OFFSET_AND_LINE_OFFSET) {
      codeOffset += operand & 0xf;
      lineDelta += toSigned(operand >>> 4);
      beginRow();
    } else if (operation === CHANGE_CODE_LENGTH_AND_CODE_OFFSET) {
      codeOffset += readNumber(cursor);
      beginRow();
      rows.at(-1)!.end = begin + codeOffset + operand;
      isOpen = false;
    }
  }
  return rows.filter((row) => row.end > row.begin);
}

/** @throws RangeError for a number of no known length */
function readNumber(cursor: ByteCursor): number {
  const first = cursor.u8();
  if (first < 0x80) return first;
  if (first < 0xc0) return ((first & 0x3f) << 8) | cursor.u8();
  if (first < 0xe0) return (((first & 0x1f) << 24) | (cursor.u8() << 16) | (cursor.u8() << 8) | cursor.u8()) >>> 0;
  throw new RangeError('A number has no known length');
}

/** The sign is the lowest bit. */
function toSigned(value: number): number {
  return (value & 1) === 0 ? value >>> 1 : -(value >>> 1);
}
