import { closeSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { win32 } from 'node:path';
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping';

import { openTargetFile } from '../../process/target-file.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { LineAndColumn, Script } from './scripts.ts';

/** A place in the source that a script was made from. */
interface MappedPlace extends LineAndColumn {
  /** Absolute, as Windows spells it. */
  readonly file: string;
}

const MAP_SIZE_BYTES_MAX = 256 << 20;

/** https://tc39.es/ecma426/#sec-linking-generated-code: the last comment of the script counts. */
const comment: RegExp = /^[ \t]*\/\/[#@][ \t]*sourceMappingURL=(\S+)[ \t]*$/gm;

/** The path of a script's file; `undefined` for a script that has none: of Node.js itself, or made by `eval`. */
export function filePathOf(url: string): string | undefined {
  if (/^[a-z]:[\\/]/i.test(url)) return win32.normalize(url);
  if (!/^file:\/\/\//i.test(url)) return undefined;
  try {
    return fileURLToPath(url, { windows: true });
  } catch {
    return undefined; // the URL names no file of Windows
  }
}

/** A segment of the mappings, or a value of JSON, takes so much beside its text. */
const VALUE_SIZE_BYTES = 96;
const CHARACTER_SIZE_BYTES = 2;

/** A map that has been read, and the directory from which its paths go. */
interface OpenedMap {
  readonly map: TraceMap;
  readonly directory: string;
}

/** The source maps of scripts, read when a place of the script is first asked for. */
export class SourceMaps {
  readonly #userPaths: readonly string[];
  readonly #budget: MemoryBudget;
  readonly #ofScripts = new Map<Script, OpenedMap | undefined>();
  /** By their paths: each worker thread has a script of its own of one file. */
  readonly #files = new Map<string, OpenedMap | undefined>();

  /**
   * @param userPaths see {@link openTargetFile}: a map is a file that the target names
   * @param budget for the maps
   */
  constructor(userPaths: readonly string[], budget: MemoryBudget) {
    this.#userPaths = userPaths;
    this.#budget = budget;
  }

  /** The place that a place of a script was made from; `undefined` without a map, and where the map has none. */
  find(script: Script, { line, column }: LineAndColumn): MappedPlace | undefined {
    if (!this.#ofScripts.has(script)) this.#ofScripts.set(script, this.#open(script));
    const known = this.#ofScripts.get(script);
    if (known === undefined) return undefined;
    return tryOrNone(() => {
      const found = originalPositionFor(known.map, { line, column: column - 1 });
      if (found.source === null) return undefined;
      const file = filePathOf(found.source) ?? win32.resolve(known.directory, found.source);
      return { file, line: found.line, column: found.column + 1 };
    });
  }

  #open(script: Script): OpenedMap | undefined {
    const scriptPath = filePathOf(script.url);
    const url = findMapUrl(script.source);
    if (scriptPath === undefined || url === undefined) return undefined;
    const directory = win32.dirname(scriptPath);
    if (url.startsWith('data:')) return tryOrNone(() => ({ map: this.#parse(decode(url)), directory }));
    const path = filePathOf(url) ?? tryOrNone(() => win32.resolve(directory, decodeURI(url)));
    if (path === undefined) return undefined;
    const known = this.#files.get(path);
    if (known !== undefined || this.#files.has(path)) return known;
    const opened = tryOrNone(() => this.#readFile(path, scriptPath));
    this.#files.set(path, opened);
    return opened;
  }

  /** @throws Error when the file is missing, is no source map, or finds no memory */
  #readFile(path: string, scriptPath: string): OpenedMap {
    const descriptor = openTargetFile(path, {
      sizeBytesMax: Math.min(MAP_SIZE_BYTES_MAX, this.#budget.leftBytes / CHARACTER_SIZE_BYTES),
      userPaths: [...this.#userPaths, scriptPath],
    });
    if (descriptor === undefined) throw new Error(`${path} cannot be read`);
    try {
      return { map: this.#parse(readFileSync(descriptor, 'utf8')), directory: win32.dirname(path) };
    } finally {
      closeSync(descriptor);
    }
  }

  /** Only what finds places is kept: the sources that a map may have in it are much larger. */
  #parse(text: string): TraceMap {
    const parsedSizeBytes = sizeInMemory(text);
    this.#budget.spend(parsedSizeBytes);
    try {
      const { mappings, sources, sourceRoot } = JSON.parse(text) as Record<string, unknown>;
      if (typeof mappings !== 'string' || !Array.isArray(sources)) throw new TypeError('No source map');
      const [root, paths] = [textOf(sourceRoot), sources.map(textOf)];
      // Each path of a source is kept with the root before it.
      const pathsLength = paths.reduce((sum, path) => sum + root.length + path.length, 0);
      this.#budget.spend(sizeInMemory(mappings) + paths.length * VALUE_SIZE_BYTES + pathsLength * CHARACTER_SIZE_BYTES);
      return new TraceMap({ version: 3, names: [], mappings, sources: paths, sourceRoot: root });
    } finally {
      this.#budget.giveBack(parsedSizeBytes);
    }
  }
}

/**
 * Nothing where it throws: a map may be missing, or no source map, or name sources that it has not. The script's own
 * places are true, too.
 */
function tryOrNone<Result>(action: () => Result): Result | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function findMapUrl(source: string): string | undefined {
  let last: string | undefined;
  for (const [, url] of source.matchAll(comment)) last = url;
  return last;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The memory that JSON, or mappings, may take as objects: each begins behind one of a few characters. */
function sizeInMemory(text: string): number {
  let values = 1;
  for (let at = 0; at < text.length; at += 1) if (valueMarks.has(text.charCodeAt(at))) values += 1;
  return text.length * CHARACTER_SIZE_BYTES + values * VALUE_SIZE_BYTES;
}

const valueMarks: ReadonlySet<number> = new Set(Buffer.from(',:;[{'));

function decode(url: string): string {
  const comma = url.indexOf(',');
  const data = url.slice(comma + 1);
  return url.slice(0, comma).endsWith(';base64') ? Buffer.from(data, 'base64').toString() : decodeURIComponent(data);
}
