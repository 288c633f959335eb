import { demangleItanium } from '../demangle/itanium.ts';
import { demangleRust } from '../demangle/rust.ts';
import { DW_TAG_namespace, DW_TAG_subprogram, DwarfEntries, type Entry, scopes } from './entries.ts';
import type { DwarfLines, SourceLine } from './lines.ts';
import { SpanReader } from './ranges.ts';
import { SpanIndex } from './span-index.ts';
import type { DwarfUnits, UnitRoot } from './units.ts';
import { type RawValue, textOf } from './values.ts';

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
   * The beginning of the function, or of the part that holds the address where the parts lie apart; relative to the
   * image.
   */
  readonly begin: number;
  /** The functions that were inlined at the address, the innermost first. */
  readonly inlined: readonly InlinedFunction[];
}

/** Real files have a handful. A damaged one could have a cycle. */
const ORIGINS_MAX = 8;
const SCOPES_MAX = 64;
const INLINED_DEPTH_MAX = 64;
const NAME_LENGTH_MAX = 2000;

/**
 * The functions of a file and what was inlined into them, DWARF 2 to 5.
 *
 * A unit is read for its first address. We read DWARF ourselves: another program (llvm-symbolizer, addr2line) is mostly
 * not installed, and takes a process for every module where it is.
 *
 * A damaged unit has no functions; nothing throws. https://dwarfstd.org/doc/DWARF5.pdf (3.3)
 */
export class DwarfFunctions {
  readonly #units: DwarfUnits;
  readonly #lines: DwarfLines;
  readonly #entries: DwarfEntries;
  readonly #spans: SpanReader;
  readonly #roots: SpanIndex<UnitRoot>;
  readonly #functions = new Map<UnitRoot, SpanIndex<Entry>>();
  readonly #names = new Map<Entry, string | undefined>();

  /** @param imageBase what the addresses count from: the base that the linker gave the file */
  constructor(units: DwarfUnits, lines: DwarfLines, imageBase: number) {
    this.#units = units;
    this.#lines = lines;
    this.#entries = new DwarfEntries(units);
    this.#spans = new SpanReader(units, imageBase);
    this.#roots = new SpanIndex(
      units.roots.flatMap((root) => this.#spans.read(root, root).map((span) => ({ ...span, value: root }))),
    );
  }

  /** The function that holds an address. */
  find(rva: number): DwarfFunction | undefined {
    const root = this.#roots.find(rva)?.value;
    const found = root && this.#functionsOf(root).find(rva);
    if (found === undefined) return undefined;
    const name = this.#nameOf(found.value);
    if (name === undefined) return undefined;
    const inlined: InlinedFunction[] = [];
    let outer = found.value;
    for (let depth = 0; depth < INLINED_DEPTH_MAX; depth++) {
      const inner = this.#inlinedOf(outer)?.find(rva)?.value;
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

  #functionsOf(root: UnitRoot): SpanIndex<Entry> {
    let functions = this.#functions.get(root);
    if (functions === undefined) {
      const entries = [...this.#entries.of(root).values()].filter(({ tag }) => tag === DW_TAG_subprogram);
      functions = this.#indexSpans(entries);
      this.#functions.set(root, functions);
    }
    return functions;
  }

  #inlinedOf(entry: Entry): SpanIndex<Entry> | undefined {
    if (entry.inlined === undefined) return undefined;
    return (entry.inlinedSpans ??= this.#indexSpans(entry.inlined));
  }

  #indexSpans(entries: readonly Entry[]): SpanIndex<Entry> {
    return new SpanIndex(
      entries.flatMap((value) => this.#spans.read(value, value.root).map((span) => ({ ...span, value }))),
    );
  }

  /** The name of a function with the namespaces and classes around it. */
  #nameOf(entry: Entry): string | undefined {
    if (this.#names.has(entry)) return this.#names.get(entry);
    const whole = this.#rustNameOf(entry) ?? this.#scopedNameOf(entry) ?? '';
    const isKept = whole !== '' && this.#units.budget.take(2 * whole.length);
    const name = isKept ? whole.slice(0, NAME_LENGTH_MAX) : undefined;
    this.#names.set(entry, name);
    return name;
  }

  #scopedNameOf(entry: Entry): string | undefined {
    const named = this.#declarationOf(entry);
    const own = named.name && this.#textOf(named, named.name);
    const linkageName = named.linkageName && this.#textOf(named, named.linkageName);
    if (own === undefined) return linkageName && (demangleItanium(linkageName) ?? linkageName);
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
    return parts.join('::');
  }

  /**
   * The name of a function of Rust's, from how it is called in the object file: the names in the entries count the
   * implementations in a module (`{impl#3}`), which change with every new one.
   */
  #rustNameOf(entry: Entry): string | undefined {
    let next: Entry | undefined = entry;
    for (let count = 0; count < ORIGINS_MAX && next !== undefined; count++) {
      if (next.linkageName !== undefined) return demangleRust(this.#textOf(next, next.linkageName) ?? '');
      next = next.origin === undefined ? undefined : this.#entries.at(next.origin, next.root);
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
      const next = this.#entries.at(declaration.origin, declaration.root);
      if (next === undefined) break;
      declaration = next;
    }
    return declaration;
  }

  #textOf({ root }: Entry, value: RawValue): string | undefined {
    return textOf(value, root.unit, root.bases, this.#units.sections);
  }
}
