import type { MemoryBudget } from '../memory-budget.ts';
import type { PdbLayout, PdbModuleInfo } from './dbi.ts';
import { spellNamespaces } from './function-names.ts';
import { type PdbStream, readText, StreamWindow } from './msf.ts';
import { SpanTable } from './span-table.ts';

/** A function in the symbols of an object file. */
export interface PdbProcedure {
  readonly name: string;
  /** Relative to the image. */
  readonly begin: number;
  /** Offsets in the stream of the symbols that belong to it: what was inlined, among others. */
  readonly childrenAt: number;
  readonly childrenEnd: number;
}

const S_THUNK32 = 0x1102;
const S_LPROC32 = 0x110f;
const S_GPROC32 = 0x1110;
const S_SEPCODE = 0x1132;
const S_LPROC32_ID = 0x1146;
const S_GPROC32_ID = 0x1147;
const S_LPROC32_DPC = 0x1155;
const S_LPROC32_DPC_ID = 0x1156;
const procedureKinds: ReadonlySet<number> = new Set([
  ...[S_LPROC32, S_GPROC32, S_LPROC32_ID, S_GPROC32_ID, S_LPROC32_DPC, S_LPROC32_DPC_ID],
]);
/** CV_SIGNATURE_C13: four bytes before the first symbol. */
const SIGNATURE_C13 = 4;
/** u16 length of what follows, u16 kind */
const RECORD_HEADER_SIZE_BYTES = 4;
/** All that is looked at here of a symbol, without its name. */
const HEAD_SIZE_BYTES = 40;
/** Where the names begin, from the record's begin. */
const PROCEDURE_NAME_AT = 39;
const THUNK_NAME_AT = 25;
/** Approximate size in memory, without the name. */
const PROCEDURE_SIZE_BYTES = 160;

/** A symbol of a stream: u16 length of what follows, u16 kind, and what kind means. */
interface PdbRecord {
  readonly at: number;
  readonly kind: number;
  /** Where the next symbol begins. */
  readonly end: number;
  /** Where its first bytes begin in those of the window: {@link HEAD_SIZE_BYTES}, if the stream has as many. */
  readonly head: number;
}

/**
 * The symbol at an offset of a stream.
 *
 * @throws RangeError where it does not end before `end`
 */
function readRecord(window: StreamWindow, at: number, end: number): PdbRecord {
  if (at + RECORD_HEADER_SIZE_BYTES > end) throw new RangeError('A symbol ends early');
  const head = window.seek(at, Math.min(HEAD_SIZE_BYTES, end - at));
  const sizeBytes = window.bytes.readUInt16LE(head) + 2;
  if (sizeBytes < RECORD_HEADER_SIZE_BYTES || at + sizeBytes > end) throw new RangeError('A symbol ends early');
  return { at, kind: window.bytes.readUInt16LE(head + 2), end: at + sizeBytes, head };
}

/** The functions of one object file. A damaged symbol ends the reading: what stands before it is found. */
export class Procedures {
  readonly #stream: PdbStream;
  readonly #window: StreamWindow;
  readonly #end: number;
  readonly #toRva: PdbLayout['toRva'];
  /** By their code: where the symbol stands. */
  readonly #spans: SpanTable;
  readonly #budget: MemoryBudget;
  /** Those that were asked for, by where their symbols stand. */
  readonly #known = new Map<number, PdbProcedure>();

  constructor(stream: PdbStream, { symbolsSizeBytes }: PdbModuleInfo, toRva: PdbLayout['toRva'], budget: MemoryBudget) {
    this.#stream = stream;
    this.#window = new StreamWindow(stream);
    this.#end = Math.min(symbolsSizeBytes, stream.sizeBytes);
    this.#toRva = toRva;
    this.#budget = budget;
    this.#spans = new SpanTable(budget);
  }

  /** Reads where each function lies; those within a damaged symbol, and behind it, are left out. */
  read(): void {
    if (this.#end < 4 || this.#stream.read(0, 4).readUInt32LE(0) !== SIGNATURE_C13) return;
    for (let at = 4; at < this.#end; ) {
      const record = readRecord(this.#window, at, this.#end);
      at = this.#add(record) ?? record.end;
    }
  }

  /** Returns where the symbols end that belong to this one; `undefined` where it has none. */
  #add({ at, kind, end, head }: PdbRecord): number | undefined {
    const { bytes } = this.#window;
    if (kind === S_SEPCODE) {
      // u32 pParent, pEnd, length, flags, off, offParent, u16 sec, secParent: a part of a function that lies apart
      this.#addSpan(at, bytes.readUInt16LE(head + 28), bytes.readUInt32LE(head + 20), bytes.readUInt32LE(head + 12));
    } else if (kind === S_THUNK32) {
      // u32 pParent, pEnd, pNext, off, u16 seg, len, u8 ord, name
      this.#addSpan(at, bytes.readUInt16LE(head + 20), bytes.readUInt32LE(head + 16), bytes.readUInt16LE(head + 22));
    } else if (procedureKinds.has(kind)) {
      // u32 pParent, pEnd, pNext, len, DbgStart, DbgEnd, typind, off, u16 seg, u8 flags, name
      this.#addSpan(at, bytes.readUInt16LE(head + 36), bytes.readUInt32LE(head + 32), bytes.readUInt32LE(head + 16));
      const last = bytes.readUInt32LE(head + 8); // the S_END of this function, behind all that belongs to it
      return last >= end && last < this.#end ? last : undefined;
    }
    return undefined;
  }

  #addSpan(at: number, section: number, offset: number, sizeBytes: number): void {
    const rva = this.#toRva(section, offset);
    if (rva !== undefined) this.#spans.add(rva, sizeBytes, at);
  }

  /**
   * The function that holds an address.
   *
   * @throws RangeError where its symbol is damaged
   */
  find(rva: number): PdbProcedure | undefined {
    const span = this.#spans.find(rva);
    if (span === undefined) return undefined;
    const known = this.#known.get(span.value);
    if (known !== undefined) return known;
    const record = readRecord(this.#window, span.value, this.#end);
    if (record.kind !== S_SEPCODE) return this.#keep(record, span.begin);
    const parent = this.#toRva(
      this.#window.bytes.readUInt16LE(record.head + 30),
      this.#window.bytes.readUInt32LE(record.head + 24),
    );
    const around = parent === undefined ? undefined : this.#spans.find(parent);
    if (around === undefined) return undefined;
    const whole = readRecord(this.#window, around.value, this.#end);
    return whole.kind === S_SEPCODE ? undefined : this.#keep(whole, around.begin);
  }

  #keep(record: PdbRecord, begin: number): PdbProcedure {
    const procedure = this.#describe(record, begin);
    this.#budget.spend(PROCEDURE_SIZE_BYTES + 2 * procedure.name.length);
    this.#known.set(record.at, procedure);
    return procedure;
  }

  #describe(record: PdbRecord, begin: number): PdbProcedure {
    const isThunk = record.kind === S_THUNK32;
    const name = spellNamespaces(readText(this.#stream, record.at + (isThunk ? THUNK_NAME_AT : PROCEDURE_NAME_AT)));
    const last = this.#window.bytes.readUInt32LE(record.head + 8);
    const hasChildren = !isThunk && last > record.end && last < this.#end;
    return { name, begin, childrenAt: record.end, childrenEnd: hasChildren ? last : record.end };
  }
}
