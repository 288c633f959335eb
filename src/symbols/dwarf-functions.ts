import { ByteCursor } from './byte-cursor.ts';
import { demangleItanium } from './demangle-itanium.ts';
import { demangleRust } from './demangle-rust.ts';
import type { DwarfLines, SourceLine } from './dwarf-lines.ts';
import {
  addressAt,
  addressOf,
  type Abbreviation,
  type DwarfSections,
  type DwarfUnits,
  type RawValue,
  readRaw,
  readText,
  referenceOf,
  type UnitRoot,
} from './dwarf-units.ts';

/** A function that the compiler put into another one, at the place of a call. */
interface InlinedFunction {
  /** With its namespaces and classes: `store::Box<int>::open`. */
  readonly name: string;
  /** Where it was called, in the function that it was put into. */
  readonly call?: SourceLine;
}

/** The function that holds an address. */
export interface DwarfFunction {
  /** With its namespaces and classes: `store::Box<int>::open`. */
  readonly name: string;
  /**
   * Where the function begins, or the part of it that holds the address if that lies elsewhere: relative to the image.
   */
  readonly begin: number;
  /** What was inlined at the address, the innermost first. */
  readonly inlined: readonly InlinedFunction[];
}

/** Addresses from `begin` up to, and without, `end`; relative to the image. */
interface Span {
  readonly begin: number;
  readonly end: number;
}

/** An entry of `.debug_info` that names something, or has code. */
interface Entry {
  readonly tag: number;
  readonly root: UnitRoot;
  readonly parent: Entry | undefined;
  name?: RawValue;
  linkageName?: RawValue;
  /** Offset of the entry that says more of the same thing: its declaration, or the function that was inlined. */
  origin?: number;
  lowAddress?: RawValue;
  highAddress?: RawValue;
  ranges?: RawValue;
  callFile?: number;
  callLine?: number;
  /** What was inlined into this one, whatever the blocks around it. */
  inlined?: Entry[];
  spans?: readonly Span[];
}

/** All of one unit that matters. */
interface UnitEntries {
  /** By their offset in `.debug_info`. */
  readonly entries: ReadonlyMap<number, Entry>;
  readonly functions: SpanIndex<Entry>;
}

const DW_TAG_class_type = 0x02;
const DW_TAG_structure_type = 0x13;
const DW_TAG_union_type = 0x17;
const DW_TAG_inlined_subroutine = 0x1d;
const DW_TAG_module = 0x1e;
const DW_TAG_subprogram = 0x2e;
const DW_TAG_interface_type = 0x38;
const DW_TAG_namespace = 0x39;
const DW_TAG_enumeration_type = 0x04;
const DW_AT_name = 0x03;
const DW_AT_low_pc = 0x11;
const DW_AT_high_pc = 0x12;
const DW_AT_abstract_origin = 0x31;
const DW_AT_specification = 0x47;
const DW_AT_ranges = 0x55;
const DW_AT_call_file = 0x58;
const DW_AT_call_line = 0x59;
const DW_AT_linkage_name = 0x6e;
const DW_AT_MIPS_linkage_name = 0x2007;
const DW_FORM_addr = 0x01;
const DW_FORM_rnglistx = 0x23;

const scopes: ReadonlySet<number> = new Set([
  ...[DW_TAG_class_type, DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_interface_type, DW_TAG_enumeration_type],
  ...[DW_TAG_module, DW_TAG_namespace],
]);
const kept: ReadonlySet<number> = new Set([...scopes, DW_TAG_inlined_subroutine, DW_TAG_subprogram]);

/** Real files have a handful; a damaged one could have a cycle. */
const ORIGINS_MAX = 8;
const SCOPES_MAX = 64;
const INLINED_DEPTH_MAX = 64;
const NAME_LENGTH_MAX = 2000;
/** How often a list of ranges may be read on average: entries without number could all mean the same long one. */
const RANGE_READS_MAX = 4;

/**
 * The functions of a file and what was inlined into them, DWARF 2 to 5.
 *
 * A unit is read when the first address in it is asked for. We read them ourselves, although Wine's dbghelp does: it
 * knows neither DWARF 5 nor what was inlined; Windows' dbghelp reads no DWARF at all; and a program beside ours
 * (llvm-symbolizer, addr2line) is mostly not there, and takes a process for every module where it is.
 *
 * A damaged unit has no functions; nothing throws. https://dwarfstd.org/doc/DWARF5.pdf (3.3)
 */
export class DwarfFunctions {
  readonly #units: DwarfUnits;
  readonly #lines: DwarfLines;
  readonly #imageBase: number;
  readonly #roots: SpanIndex<UnitRoot>;
  readonly #read = new Map<UnitRoot, UnitEntries>();
  readonly #names = new Map<Entry, string | undefined>();
  #rangesLeft: number;

  /** @param imageBase what the addresses count from: the base that the linker gave the file */
  constructor(units: DwarfUnits, lines: DwarfLines, imageBase: number) {
    this.#units = units;
    this.#lines = lines;
    this.#imageBase = imageBase;
    // Of .debug_ranges one takes 16 bytes, of .debug_rnglists at least 3.
    this.#rangesLeft =
      RANGE_READS_MAX * Math.ceil(units.sections.ranges.length / 16 + units.sections.rangeLists.length / 3);
    this.#roots = new SpanIndex(
      units.roots.flatMap((root) => this.#readSpans(root, root).map((span) => ({ ...span, value: root }))),
    );
  }

  /** The function that holds an address. */
  find(rva: number): DwarfFunction | undefined {
    const root = this.#roots.find(rva)?.value;
    const found = root && this.#entriesOf(root).functions.find(rva);
    if (found === undefined) return undefined;
    const name = this.#nameOf(found.value);
    if (name === undefined) return undefined;
    const inlined: InlinedFunction[] = [];
    let outer = found.value;
    for (let depth = 0; depth < INLINED_DEPTH_MAX; depth++) {
      const inner = outer.inlined?.find((candidate) =>
        this.#spansOf(candidate).some(({ begin, end }) => rva >= begin && rva < end),
      );
      if (inner === undefined) break;
      const innerName = this.#nameOf(inner);
      const call = this.#callOf(inner);
      if (innerName !== undefined) inlined.unshift({ name: innerName, ...(call && { call }) });
      outer = inner;
    }
    return { name, begin: found.begin, inlined };
  }

  #callOf({ root, callFile, callLine }: Entry): SourceLine | undefined {
    if (callFile === undefined || !callLine || root.lineTable === undefined) return undefined;
    const file = this.#lines.fileOf(root.lineTable, callFile);
    return file === undefined ? undefined : { file, line: callLine };
  }

  #entriesOf(root: UnitRoot): UnitEntries {
    let read = this.#read.get(root);
    if (read === undefined) {
      const entries = new Map<number, Entry>();
      ignoreDamage(() => this.#readEntries(root, entries));
      const functions = [...entries.values()].filter(({ tag }) => tag === DW_TAG_subprogram);
      read = {
        entries,
        functions: new SpanIndex(
          functions.flatMap((value) => this.#spansOf(value).map((span) => ({ ...span, value }))),
        ),
      };
      this.#read.set(root, read);
    }
    return read;
  }

  /** Reads a unit's tree; what was read before damage remains. */
  #readEntries(root: UnitRoot, entries: Map<number, Entry>): void {
    const { unit } = root;
    const abbreviations = this.#units.abbreviations.of(unit);
    const cursor = new ByteCursor(this.#units.sections.info, unit.entriesAt, unit.end);
    /** For each level that is open: the nearest entry above it that is kept. */
    const above: (Entry | undefined)[] = [];
    while (!cursor.isAtEnd) {
      const offset = cursor.at;
      const code = cursor.uleb();
      if (code === 0) {
        if (above.length === 0) return;
        above.pop();
        continue;
      }
      const abbreviation = abbreviations.get(code);
      if (abbreviation === undefined) return;
      const parent = above.at(-1);
      let entry: Entry | undefined;
      if (kept.has(abbreviation.tag)) {
        entry = this.#readEntry(cursor, abbreviation, root, parent);
        entries.set(offset, entry);
        if (entry.tag === DW_TAG_inlined_subroutine && parent !== undefined) (parent.inlined ??= []).push(entry);
      } else if (abbreviation.sizeBytes !== undefined) {
        cursor.skip(abbreviation.sizeBytes);
      } else {
        for (const format of abbreviation.attributes) readRaw(cursor, format, unit);
      }
      if (abbreviation.hasChildren) above.push(entry ?? parent);
    }
  }

  #readEntry(cursor: ByteCursor, { tag, attributes }: Abbreviation, root: UnitRoot, parent: Entry | undefined): Entry {
    const entry: Entry = { tag, root, parent };
    for (const format of attributes) {
      const raw = readRaw(cursor, format, root.unit);
      switch (format.attribute) {
        case DW_AT_name:
          entry.name = raw;
          break;
        case DW_AT_linkage_name:
        case DW_AT_MIPS_linkage_name:
          entry.linkageName = raw;
          break;
        case DW_AT_abstract_origin:
        case DW_AT_specification: {
          const origin = referenceOf(raw, root.unit);
          if (origin !== undefined) entry.origin = origin;
          break;
        }
        case DW_AT_low_pc:
          entry.lowAddress = raw;
          break;
        case DW_AT_high_pc:
          entry.highAddress = raw;
          break;
        case DW_AT_ranges:
          entry.ranges = raw;
          break;
        case DW_AT_call_file:
          entry.callFile = raw.value;
          break;
        case DW_AT_call_line:
          entry.callLine = raw.value;
          break;
      }
    }
    return entry;
  }

  #spansOf(entry: Entry): readonly Span[] {
    return (entry.spans ??= this.#readSpans(entry, entry.root));
  }

  #readSpans(
    source: { lowAddress?: RawValue; highAddress?: RawValue; ranges?: RawValue },
    root: UnitRoot,
  ): readonly Span[] {
    const { lowAddress, highAddress, ranges } = source;
    const { unit, bases } = root;
    const { sections } = this.#units;
    const spans: Span[] = [];
    const addListed = (low: number, high: number): void => {
      if (--this.#rangesLeft < 0) throw new RangeError('Too many ranges');
      add(low, high);
    };
    const add = (low: number, high: number): void => {
      // Code that the linker threw away is left at addresses near zero.
      if (low >= this.#imageBase && high > low)
        spans.push({ begin: low - this.#imageBase, end: high - this.#imageBase });
    };
    ignoreDamage(() => {
      if (ranges !== undefined) {
        const base = (root.lowAddress && addressOf(root.lowAddress, unit, bases, sections)) ?? 0;
        if (unit.version >= 5) readRangeList(ranges, base, root, sections, addListed);
        else readRanges(ranges.value, base, root, sections, addListed);
        return;
      }
      const low = lowAddress && addressOf(lowAddress, unit, bases, sections);
      if (low === undefined || highAddress === undefined) return;
      // A high address that is no address is the size. DWARF 4, 2.17.2
      add(low, highAddress.form === DW_FORM_addr ? highAddress.value : low + highAddress.value);
    });
    return spans;
  }

  /** The name of a function with the namespaces and classes around it. */
  #nameOf(entry: Entry): string | undefined {
    if (this.#names.has(entry)) return this.#names.get(entry);
    const named = this.#declarationOf(entry);
    const rustName = this.#rustNameOf(entry);
    if (rustName !== undefined) {
      this.#names.set(entry, rustName);
      return rustName;
    }
    const own = named.name && this.#textOf(named, named.name);
    const linkageName = named.linkageName && this.#textOf(named, named.linkageName);
    let name = own ?? (linkageName && (demangleItanium(linkageName) ?? linkageName));
    if (own !== undefined && named.parent !== undefined) {
      const parts = [own];
      for (
        let scope: Entry | undefined = named.parent, depth = 0;
        scope !== undefined && depth < SCOPES_MAX;
        scope = scope.parent, depth++
      ) {
        // A function in a function is one of C, or a mere declaration: only the classes of a function are named after
        // it.
        if (scope.tag === DW_TAG_subprogram ? depth > 0 : scopes.has(scope.tag)) {
          const outer = this.#declarationOf(scope);
          parts.unshift(
            (outer.name && this.#textOf(outer, outer.name)) ??
              (scope.tag === DW_TAG_namespace ? '(anonymous namespace)' : '(anonymous)'),
          );
          if (outer !== scope) scope = outer;
        }
      }
      name = parts.join('::');
    }
    name = name?.slice(0, NAME_LENGTH_MAX);
    this.#names.set(entry, name === '' ? undefined : name);
    return this.#names.get(entry);
  }

  /**
   * The name of a function of Rust's, from how it is called in the object file: the names in the entries count the
   * implementations in a module (`{impl#3}`), which change with every new one.
   */
  #rustNameOf(entry: Entry): string | undefined {
    let next: Entry | undefined = entry;
    for (let count = 0; count < ORIGINS_MAX && next !== undefined; count++) {
      if (next.linkageName !== undefined)
        return demangleRust(this.#textOf(next, next.linkageName) ?? '')?.slice(0, NAME_LENGTH_MAX);
      next = next.origin === undefined ? undefined : this.#entryAt(next.origin, next.root);
    }
    return undefined;
  }

  /** The entry that an entry has its name from. */
  #declarationOf(entry: Entry): Entry {
    let declaration = entry;
    for (
      let count = 0;
      count < ORIGINS_MAX && declaration.name === undefined && declaration.origin !== undefined;
      count++
    ) {
      const next = this.#entryAt(declaration.origin, declaration.root);
      if (next === undefined) break;
      declaration = next;
    }
    return declaration;
  }

  /**
   * The entry at an offset of `.debug_info`, which may be in another unit: link-time optimisation inlines across them.
   */
  #entryAt(offset: number, near: UnitRoot): Entry | undefined {
    const isIn = ({ unit }: UnitRoot): boolean => offset >= unit.start && offset < unit.end;
    const root = isIn(near) ? near : this.#units.roots.find(isIn);
    return root && this.#entriesOf(root).entries.get(offset);
  }

  #textOf({ root }: Entry, value: RawValue): string | undefined {
    return readText(value, root.unit, root.bases, this.#units.sections);
  }
}

/** DWARF 2 to 4, 2.17.3: pairs of addresses, up to a pair of zeros. */
function readRanges(
  offset: number,
  base: number,
  { unit }: UnitRoot,
  sections: DwarfSections,
  add: (low: number, high: number) => void,
): void {
  const cursor = new ByteCursor(sections.ranges, offset);
  const read = (): number => (unit.addressSize === 8 ? cursor.u64() : cursor.u32());
  const highest = unit.addressSize === 8 ? 2 ** 64 : 2 ** 32 - 1;
  for (;;) {
    const low = read();
    const high = read();
    if (low === 0 && high === 0) return;
    if (low === highest) base = high;
    else add(base + low, base + high);
  }
}

/** DWARF 5, 2.17.3 and 7.25: entries of several kinds, up to one that ends the list. */
function readRangeList(
  { form, value }: RawValue,
  base: number,
  { unit, bases }: UnitRoot,
  sections: DwarfSections,
  add: (low: number, high: number) => void,
): void {
  let offset = value;
  if (form === DW_FORM_rnglistx) {
    const table = new ByteCursor(sections.rangeLists, bases.rangeLists + value * (unit.isWide ? 8 : 4));
    offset = bases.rangeLists + table.offset(unit.isWide);
  }
  const cursor = new ByteCursor(sections.rangeLists, offset);
  const read = (): number => (unit.addressSize === 8 ? cursor.u64() : cursor.u32());
  const indexed = (): number => addressAt(cursor.uleb(), unit, bases, sections);
  for (;;) {
    const kind = cursor.u8();
    let low: number;
    switch (kind) {
      case 0: // DW_RLE_end_of_list
        return;
      case 1: // DW_RLE_base_addressx
        base = indexed();
        break;
      case 2: // DW_RLE_startx_endx
        low = indexed();
        add(low, indexed());
        break;
      case 3: // DW_RLE_startx_length
        low = indexed();
        add(low, low + cursor.uleb());
        break;
      case 4: // DW_RLE_offset_pair
        low = base + cursor.uleb();
        add(low, base + cursor.uleb());
        break;
      case 5: // DW_RLE_base_address
        base = read();
        break;
      case 6: // DW_RLE_start_end
        low = read();
        add(low, read());
        break;
      case 7: // DW_RLE_start_length
        low = read();
        add(low, low + cursor.uleb());
        break;
      default:
        throw new RangeError(`Unknown range ${kind}`);
    }
  }
}

function ignoreDamage(read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
}

/** How many spans below an address are looked at: in real files no two overlap. */
const OVERLAPS_MAX = 16;

/** Finds what an address lies in. */
class SpanIndex<Value> {
  readonly #spans: readonly (Span & { readonly value: Value })[];

  constructor(spans: (Span & { readonly value: Value })[]) {
    this.#spans = spans.sort((a, b) => a.begin - b.begin);
  }

  /** The span that holds an address; of several the one that begins last. */
  find(rva: number): (Span & { readonly value: Value }) | undefined {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#spans[middle]!.begin <= rva) low = middle + 1;
      else high = middle;
    }
    for (let index = low - 1; index >= Math.max(0, low - OVERLAPS_MAX); index--) {
      if (rva < this.#spans[index]!.end) return this.#spans[index];
    }
    return undefined;
  }
}
