/**
 * The table of source positions that V8 logs for the code of a function (`code-source-info`). All positions are
 * characters from the beginning of the script.
 */
export interface SourceTable {
  readonly scriptId: number;
  /** Where the function begins. */
  readonly start: number;
  /** `C<offset>O<position>I<inlining>` for each place in the code, by ascending offset. */
  readonly positions: string;
  /** `F<function>O<position>I<inlining>` for each function that was put into this one: where it was called from. */
  readonly inlined: string;
  /** `S<address>` for each function that those refer to, by its SharedFunctionInfo. */
  readonly functions: string;
}

/** A place in the source, in the function itself or in one that was inlined into it. */
interface SourcePosition {
  readonly position: number;
  /** The SharedFunctionInfo of the inlined function; absent for the function whose code it is. */
  readonly inlinedFunction?: string;
}

/** Inlining goes no deeper, whatever a damaged log says. */
const DEPTH_MAX = 64;
/** No more functions are put into one: V8 gives up far earlier. */
const INLININGS_MAX = 16_384;
/** `F-2147483648O2147483647I2147483647`, and less. */
const INLINING_LENGTH_MAX = 34;

const entryPattern: RegExp = /C(\d{1,10})O(-?\d{1,10})(?:I(\d{1,10}))?/y;
/** V8 has no place for some code: that of the code before it counts. More entries in a row are damage. */
const WITHOUT_PLACE_MAX = 1024;

/**
 * The places of an offset into the code, the innermost first: that of the last entry at or before it. Empty where the
 * table has none.
 */
export function positionsAt(table: SourceTable, offset: number): readonly SourcePosition[] {
  const found = lastEntryAt(table.positions, offset);
  if (found === undefined) return [];
  let { position } = found;
  let inlining: number | undefined = found.inlining;
  if (inlining === undefined) return [{ position }];
  const inlinings = firstMatches(table.inlined, /F(-?\d{1,10})O(\d{1,10})(?:I(\d{1,10}))?/g);
  const functions = firstMatches(table.functions, /S(0x[0-9a-f]{1,16})/gi).map(([, address]) => address!.toLowerCase());
  const positions: SourcePosition[] = [];
  while (inlining !== undefined && positions.length < DEPTH_MAX) {
    const call: RegExpExecArray | undefined = inlinings[inlining];
    if (call === undefined) break;
    positions.push({ position, inlinedFunction: functions[Number(call[1])] ?? '' });
    position = Number(call[2]);
    inlining = call[3] === undefined ? undefined : Number(call[3]);
  }
  return [...positions, { position }];
}

interface Entry {
  /** Where it begins in the text. */
  readonly at: number;
  readonly offset: number;
  readonly position: number;
  readonly inlining: number | undefined;
}

/**
 * The last entry with a place at or before an offset. A table may have megabytes, and every frame of every stack asks:
 * so it is searched by halves, and never read as a whole.
 */
function lastEntryAt(positions: string, offset: number): Entry | undefined {
  let found: Entry | undefined;
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    // No further than the end, because a damaged table may be without entries.
    const distance = positions.slice(middle, high).indexOf('C');
    const entry = distance === -1 ? undefined : readEntry(positions, middle + distance);
    if (entry === undefined || entry.offset > offset) high = middle;
    else {
      found = entry;
      low = entry.at + 1;
    }
  }
  for (let count = 0; found !== undefined && found.position < 0 && count < WITHOUT_PLACE_MAX; count++)
    found = found.at === 0 ? undefined : readEntry(positions, positions.lastIndexOf('C', found.at - 1));
  return found === undefined || found.position < 0 ? undefined : found;
}

function readEntry(positions: string, at: number): Entry | undefined {
  entryPattern.lastIndex = Math.max(0, at);
  const match = entryPattern.exec(positions);
  if (match === null) return undefined;
  const [, offset, position, inlining] = match;
  return {
    at,
    offset: Number(offset),
    position: Number(position),
    inlining: inlining === undefined ? undefined : Number(inlining),
  };
}

function firstMatches(text: string, pattern: RegExp): readonly RegExpExecArray[] {
  const matches: RegExpExecArray[] = [];
  for (const match of text.slice(0, INLININGS_MAX * INLINING_LENGTH_MAX).matchAll(pattern)) {
    if (matches.length === INLININGS_MAX) break;
    matches.push(match);
  }
  return matches;
}
