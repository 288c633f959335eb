import { closeSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { win32 } from 'node:path';
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping';

import { openTargetFile } from '../../process/target-file.ts';
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

/** The source maps of scripts, read when a place of the script is first asked for. */
export class SourceMaps {
  readonly #userPaths: readonly string[];
  readonly #maps = new Map<Script, { readonly map: TraceMap; readonly directory: string } | undefined>();

  /** @param userPaths see {@link openTargetFile}: a map is a file that the target names */
  constructor(userPaths: readonly string[]) {
    this.#userPaths = userPaths;
  }

  /** The place that a place of a script was made from; `undefined` without a map, and where the map has none. */
  find(script: Script, { line, column }: LineAndColumn): MappedPlace | undefined {
    if (!this.#maps.has(script)) this.#maps.set(script, this.#read(script));
    const known = this.#maps.get(script);
    if (known === undefined) return undefined;
    const found = originalPositionFor(known.map, { line, column: column - 1 });
    if (found.source === null) return undefined;
    const file = filePathOf(found.source) ?? win32.resolve(known.directory, found.source);
    return { file, line: found.line, column: found.column + 1 };
  }

  #read(script: Script): { readonly map: TraceMap; readonly directory: string } | undefined {
    const path = filePathOf(script.url);
    const url = [...script.source.matchAll(comment)].at(-1)?.[1];
    if (path === undefined || url === undefined) return undefined;
    try {
      const [text, from] = url.startsWith('data:') ? [decode(url), path] : this.#readFile(path, url);
      return { map: new TraceMap(text), directory: win32.dirname(from) };
    } catch {
      return undefined; // it is missing, or no source map: the script's own places are true, too
    }
  }

  #readFile(script: string, url: string): readonly [text: string, path: string] {
    const path = filePathOf(url) ?? win32.resolve(win32.dirname(script), decodeURI(url));
    const options = { sizeBytesMax: MAP_SIZE_BYTES_MAX, userPaths: [...this.#userPaths, script] };
    const descriptor = openTargetFile(path, options);
    if (descriptor === undefined) throw new Error(`${path} cannot be read`);
    try {
      return [readFileSync(descriptor, 'utf8'), path];
    } finally {
      closeSync(descriptor);
    }
  }
}

function decode(url: string): string {
  const comma = url.indexOf(',');
  const data = url.slice(comma + 1);
  return url.slice(0, comma).endsWith(';base64') ? Buffer.from(data, 'base64').toString() : decodeURIComponent(data);
}
