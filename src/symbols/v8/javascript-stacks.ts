import { win32 } from 'node:path';

import { BYTECODE_OFFSET_MARK, isBytecodeOffset, REQUEST_MARK } from '../../call-ledger.ts';
import type { Frame } from '../../model.ts';
import type { Module } from '../../process/modules.ts';
import { MemoryBudget } from '../memory-budget.ts';
import type { Symbolizer } from '../symbolizer.ts';
import { CodeLog, type JavaScriptFunction } from './code-log.ts';
import type { OpenedLog } from './list-logs.ts';
import { filePathOf, SourceMaps } from './source-maps.ts';

interface Log {
  readonly log: CodeLog;
  readonly startTime: bigint | undefined;
}

/**
 * The time of a call is that of the last tick of Windows' clock, 15.625 ms ago at most. Code that was made since then
 * may be the one on the stack. V8 keeps the code of a function until it returns, so code that was made after the call
 * hardly ever has its address so soon.
 */
const CLOCK_TICK_US = 15_625;

/**
 * Names the functions of JavaScript in the stacks of a process that runs on V8, by the logs that V8 keeps of its code;
 * all others by their modules.
 */
export class JavaScriptStacks implements Disposable {
  readonly #symbolizer: Symbolizer;
  readonly #logs: readonly Log[];
  readonly #maps: SourceMaps;

  /**
   * @param logs of the process: they go with this
   * @param userPaths paths that the user gave: see {@link SourceMaps}
   */
  constructor(symbolizer: Symbolizer, logs: readonly OpenedLog[], userPaths: readonly string[]) {
    this.#symbolizer = symbolizer;
    const budget = new MemoryBudget();
    this.#maps = new SourceMaps(userPaths, budget);
    this.#logs = logs.map(({ bytes, startTime }) => ({ log: new CodeLog(bytes, budget), startTime }));
  }

  /** @param time FILETIME at which the stack was there; absent: at the last moment */
  resolveStack(addresses: Iterable<bigint>, time?: bigint): Frame[] {
    const entries = [...addresses];
    const end = entries.indexOf(REQUEST_MARK);
    if (end === -1) return this.#resolve(entries, time);
    // The work is done soon after it was asked for: code that lay there then most likely lies there still.
    const requested = this.#resolve(entries.slice(end + 1), time).map((frame) => ({
      ...frame,
      requested: true as const,
    }));
    const all = this.#resolve(entries.slice(0, end), time);
    // Where Node.js itself asked, as for a stream, the work must not seem to be its own: a program wanted it.
    const own = requested.some(({ javascript, runtime }) => javascript && !runtime) ? asRuntime(all) : all;
    // The functions of the system in which the pool's thread began would end the stack.
    return [...own.slice(0, own.findLastIndex(isHost) + 1), ...requested];
  }

  #resolve(all: readonly bigint[], time: bigint | undefined): Frame[] {
    const frames: Frame[] = [];
    let isJavaScript = false;
    let native: bigint[] = [];
    const flush = (): void => {
      if (native.length > 0) frames.push(...this.#symbolizer.resolveStack(native));
      native = [];
    };
    for (const [index, address] of all.entries()) {
      if (isBytecodeOffset(address)) continue;
      const found = this.#symbolizer.moduleOf(address) === undefined ? this.#find(address, time, all[index + 1]) : [];
      if (found.length === 0) native.push(address);
      else {
        flush();
        frames.push(...found);
        isJavaScript = true;
      }
    }
    flush();
    // The program that runs JavaScript is its runtime, whatever it is made of.
    return isJavaScript ? asRuntime(frames) : frames;
  }

  moduleOf(address: bigint): Module | undefined {
    return this.#symbolizer.moduleOf(address);
  }

  #find(address: bigint, time: bigint | undefined, next: bigint | undefined): readonly Frame[] {
    const bytecode = next !== undefined && isBytecodeOffset(next) ? Number(next - BYTECODE_OFFSET_MARK) : undefined;
    for (const { log, startTime } of this.#logs) {
      const isTimed = time !== undefined && startTime !== undefined;
      const timeUs = isTimed ? Number(time - startTime) / 10 + CLOCK_TICK_US : undefined;
      const found = log.find(Number(address), timeUs, bytecode);
      if (found.length > 0)
        return found.map((each, index) => this.#toFrame(each, { isInlined: index < found.length - 1 }));
    }
    return [];
  }

  #toFrame({ kind, name, script, place }: JavaScriptFunction, { isInlined }: { isInlined: boolean }): Frame {
    const common = { offset: 0, javascript: true, ...(isInlined ? ({ inlined: true } as const) : {}) } as const;
    // Node.js's own functions that were in its snapshot share one entry to the interpreter, and are not in the log.
    if (name === 'InterpreterEntryTrampoline' && kind === 'builtin')
      return { ...common, module: 'node', runtime: true };
    if (kind === 'builtin') return { ...common, module: 'V8', function: name, runtime: true };
    const spelt = name === '' ? '(anonymous)' : name;
    if (script === undefined) return { ...common, module: 'JavaScript', function: spelt };
    const path = filePathOf(script.url);
    const mapped = place && path !== undefined ? this.#maps.find(script, place) : undefined;
    const file = mapped?.file ?? path ?? script.url;
    const { line, column } = mapped ?? place ?? {};
    return {
      ...common,
      module: path === undefined ? (hostOf(script.url) ?? 'JavaScript') : win32.basename(file),
      function: spelt,
      ...(file === '' ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
      ...(hostOf(script.url) === undefined ? {} : { runtime: true }),
    };
  }

  [Symbol.dispose](): void {
    for (const { log } of this.#logs) log[Symbol.dispose]();
  }
}

function asRuntime(frames: readonly Frame[]): Frame[] {
  return frames.map((frame) => (isHost(frame) ? { ...frame, runtime: true, javascript: true } : frame));
}

function isHost(frame: Frame): boolean {
  return frame.system !== true && /^(?:node|deno|electron)\.exe$/i.test(frame.module);
}

/** Whose own script it is: Node.js has its own at `node:` (Electron, too), and Deno at `ext:`. */
function hostOf(url: string): string | undefined {
  if (url.startsWith('node:')) return 'node';
  return url.startsWith('ext:') ? 'deno' : undefined;
}
