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

/**
 * The places of an offset into the code, the innermost first: that of the last entry at or before it. Empty where the
 * table has none.
 */
export function positionsAt(table: SourceTable, offset: number): readonly SourcePosition[] {
  let found: { readonly position: number; readonly inlining: number | undefined } | undefined;
  for (const [, code, position, inlining] of table.positions.matchAll(/C(\d+)O(\d+)(?:I(\d+))?/g)) {
    if (Number(code) > offset) break;
    found = { position: Number(position), inlining: inlining === undefined ? undefined : Number(inlining) };
  }
  if (found === undefined) return [];
  const inlinings = firstMatches(table.inlined, /F(-?\d+)O(\d+)(?:I(\d+))?/g);
  const functions = firstMatches(table.functions, /S(0x[0-9a-f]+)/gi).map(([, address]) => address!.toLowerCase());
  const positions: SourcePosition[] = [];
  let { position, inlining } = found;
  while (inlining !== undefined && positions.length < DEPTH_MAX) {
    const [, number, call, outer] = inlinings[inlining] ?? [];
    if (number === undefined) break;
    positions.push({ position, inlinedFunction: functions[Number(number)] ?? '' });
    position = Number(call);
    inlining = outer === undefined ? undefined : Number(outer);
  }
  return [...positions, { position }];
}

function firstMatches(text: string, pattern: RegExp): readonly RegExpExecArray[] {
  const matches: RegExpExecArray[] = [];
  for (const match of text.matchAll(pattern)) {
    if (matches.length === INLININGS_MAX) break;
    matches.push(match);
  }
  return matches;
}
