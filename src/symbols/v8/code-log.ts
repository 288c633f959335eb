import type { MemoryBudget } from '../memory-budget.ts';
import { type Code, CodeTable } from './code-table.ts';
import type { LogBytes } from './log-bytes.ts';
import { LogFile, type LogLine, unescapeText } from './log-file.ts';
import { positionsAt } from './positions.ts';
import { type LineAndColumn, Script } from './scripts.ts';

/** A function of JavaScript, or code of V8's own, at an address. */
export interface JavaScriptFunction {
  readonly kind: 'script' | 'builtin';
  /** Empty for a function without a name, and for the code of a script itself. */
  readonly name: string;
  /** Absent for code of V8's own. */
  readonly script?: Script;
  /** The call, where its place is known; else the beginning of the function. */
  readonly place?: LineAndColumn;
}

/** The kinds of lines that are read. Their fields: Logger and V8FileLogger in V8's src/logging/log.cc. */
const words: ReadonlySet<string> = new Set(['code-creation', 'code-source-info', 'code-move', 'script-source']);
const sources: ReadonlySet<string> = new Set(['script-source']);

/** Memory that a piece of code or a script takes here, beside its texts. */
const CODE_SIZE_BYTES = 256;

/** A name is spelt anew for each frame. V8 cuts names off far earlier. */
const NAME_LENGTH_MAX = 16_384;

/** The tiers of functions, as the last field of a line marks them: interpreted, and by which compiler. */
const INTERPRETED = '~';

/** The functions that one isolate of V8 made, by its log. */
export class CodeLog implements Disposable {
  readonly #file: LogFile;
  readonly #table = new CodeTable();
  readonly #scripts = new Map<number, Script>();
  /** The last code of each function, by the address of its SharedFunctionInfo. */
  readonly #byFunction = new Map<string, Code>();

  /**
   * @param bytes of the log: they go with it
   * @param budget for all that is kept of it, the sources of its scripts among it
   */
  constructor(bytes: LogBytes, budget: MemoryBudget) {
    this.#file = new LogFile(bytes);
    const reader = new LineReader(this.#table, this.#byFunction, this.#scripts, this.#file, budget);
    for (const line of this.#file.lines(words, sources)) {
      if (!budget.take(CODE_SIZE_BYTES + keptSizeBytes(line))) break;
      reader.read(line);
    }
  }

  get codeCount(): number {
    return this.#table.count;
  }

  /**
   * The functions at a return address, the innermost first: some may have been inlined into the last one. Empty where
   * the log knows of no code there.
   *
   * @param timeUs of the call, on the clock of the log
   * @param bytecode offset of the instruction of an interpreted function, from its first
   */
  find(address: number, timeUs?: number, bytecode?: number): readonly JavaScriptFunction[] {
    const code = this.#table.find(address - 1, timeUs);
    // Where V8 has thrown away the code of a caller, the caller is to go on by the entry to one of these.
    const entry = this.#table.find(address, timeUs);
    if (entry?.kind === 'builtin' && entry.begin === address && entry.name.startsWith('InterpreterEnterAt'))
      return [{ kind: 'script', name: '(deoptimised)' }];
    if (code === undefined) return [];
    if (code.kind === 'builtin') return [{ kind: 'builtin', name: unescapeText(code.name) }];
    const { table } = code;
    const script = table === undefined ? undefined : this.#scripts.get(table.scriptId);
    const offset = code.kind === 'interpreted' ? bytecode : address - 1 - code.begin;
    const positions = table === undefined || offset === undefined ? [] : positionsAt(table, offset);
    if (positions.length === 0) return [describe(code, script, table?.start)];
    return positions.map(({ position, inlinedFunction }): JavaScriptFunction => {
      if (inlinedFunction === undefined) return describe(code, script, position);
      const inlined = this.#byFunction.get(inlinedFunction);
      const inlinedScript = inlined?.table === undefined ? undefined : this.#scripts.get(inlined.table.scriptId);
      return inlined === undefined ? { kind: 'script', name: '' } : describe(inlined, inlinedScript, position);
    });
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** The fields of a line keep all of it; a script has its URL twice, as it was written and as it was meant. */
function keptSizeBytes({ fields, sizeBytes }: LogLine): number {
  return fields[0] === 'script-source' ? 2 * fields.join(',').length : sizeBytes;
}

/** Turns the lines of a log into tables. */
class LineReader {
  readonly #table: CodeTable;
  readonly #byFunction: Map<string, Code>;
  readonly #scripts: Map<number, Script>;
  readonly #file: LogFile;
  readonly #budget: MemoryBudget;
  /** By the address of their code. */
  readonly #byAddress = new Map<number, Code>();
  /** Functions by the address of their bytecode: its positions are those of the function's copy of the entry. */
  readonly #bytecode = new Map<number, Code>();
  #lastUs = 0;

  constructor(
    table: CodeTable,
    byFunction: Map<string, Code>,
    scripts: Map<number, Script>,
    file: LogFile,
    budget: MemoryBudget,
  ) {
    this.#table = table;
    this.#byFunction = byFunction;
    this.#scripts = scripts;
    this.#file = file;
    this.#budget = budget;
  }

  read(line: LogLine): void {
    switch (line.fields[0]) {
      case 'code-creation':
        return this.#readCreation(line.fields);
      case 'code-source-info':
        return this.#readPositions(line.fields);
      case 'code-move':
        return this.#readMove(line.fields);
      case 'script-source':
        this.#scripts.set(Number(line.fields[1]), new Script(this.#file, line, this.#budget));
    }
  }

  #readCreation([, type, , time, address, size, name = '', functionInfo, tier]: readonly string[]): void {
    const [begin, sizeBytes, madeUs] = [Number(address), Number(size), Number(time)];
    if (!isAddress(begin) || !isAddress(sizeBytes) || !Number.isFinite(madeUs)) return;
    this.#lastUs = madeUs;
    const common = { begin, end: begin + sizeBytes, madeUs, name: name.slice(0, NAME_LENGTH_MAX) };
    if (type === 'Builtin' || type === 'Handler' || type === 'BytecodeHandler' || type === 'Stub') {
      this.#add({ ...common, kind: 'builtin' });
      return;
    }
    if (functionInfo === undefined) return;
    const key = functionInfo.toLowerCase();
    const known = this.#byFunction.get(key);
    // The entry of the interpreter comes first, then the bytecode of the same function, which is data.
    if (
      tier === INTERPRETED &&
      known?.kind === 'interpreted' &&
      known.table?.positions === '' &&
      known.name === common.name
    ) {
      this.#bytecode.set(begin, known);
      return;
    }
    const code: Code = { ...common, kind: tier === INTERPRETED ? 'interpreted' : 'compiled' };
    this.#byFunction.set(key, code);
    this.#add(code);
  }

  #readPositions([
    ,
    address,
    scriptId,
    start,
    ,
    positions = '',
    inlined = '',
    functions = '',
  ]: readonly string[]): void {
    const begin = Number(address);
    const code = this.#bytecode.get(begin) ?? this.#byAddress.get(begin);
    if (code === undefined || !isAddress(Number(scriptId)) || !isAddress(Number(start))) return;
    code.table = { scriptId: Number(scriptId), start: Number(start), positions, inlined, functions };
    this.#bytecode.delete(begin);
  }

  #readMove([, from, to]: readonly string[]): void {
    const code = this.#byAddress.get(Number(from));
    const begin = Number(to);
    if (code === undefined || !isAddress(begin)) return;
    this.#byAddress.delete(code.begin);
    this.#add({ ...code, begin, end: begin + code.end - code.begin, madeUs: this.#lastUs });
  }

  #add(code: Code): void {
    this.#byAddress.set(code.begin, code);
    this.#table.add(code);
  }
}

function isAddress(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/**
 * V8 writes `<name> <url>:<line>:<column>`, with a space even where there is no name. Both may hold spaces; the URL is
 * known from the script.
 */
function describe({ name }: Code, script: Script | undefined, position: number | undefined): JavaScriptFunction {
  const text = unescapeText(name);
  const place = position === undefined ? undefined : script?.placeOf(position);
  const end = script === undefined ? text.indexOf(' ') : text.lastIndexOf(` ${script.url}:`);
  return {
    kind: 'script',
    name: end === -1 ? text : text.slice(0, end),
    ...(script === undefined ? {} : { script }),
    ...(place === undefined ? {} : { place }),
  };
}
