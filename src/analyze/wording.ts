import type { Frame, HandleObject, Stack } from '../model.ts';
import type { Misuse, OtherProcess } from '../evidence-model.ts';
import { outermostSystemFrame } from './attribution.ts';
import { spellNoun } from './object-noun.ts';
import { dissect, functionName, isCut, moduleName } from './stacks.ts';

/** `0x1a4`, as an unsigned value; `NULL` and `-1` as programmers know them; a descriptor is a plain number. */
export function spellValue(value: bigint, type?: string): string {
  if (type === 'Descriptor') return `${value}`;
  const signed = BigInt.asIntN(64, value);
  if (signed === 0n) return 'NULL';
  if (signed === -1n) return 'INVALID_HANDLE_VALUE (-1)';
  return signed < 0n && signed >= -6n ? `the pseudo handle ${signed}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

/** `rotate_log (log.c:42)`, or what is known of it: `app.exe!rotate_log`, `app.exe+0x1234`. */
export function spellFrames(frames: readonly Frame[]): string {
  const [first] = frames;
  if (first === undefined) return 'an unknown place';
  const name = functionName(first);
  const lines = frames.flatMap((frame) =>
    frame.file === undefined ? [] : [`${baseName(frame.file)}${frame.line === undefined ? '' : `:${frame.line}`}`],
  );
  const where = [...new Set(lines)].sort(compareNumerically);
  const shown = where.length > 3 ? [...where.slice(0, 3), `${where.length - 3} more lines`] : where;
  if (name !== undefined)
    return shown.length > 0 ? `${name} (${shown.join(', ')})` : `${baseName(first.module)}!${name}`;
  if (shown.length > 0) return shown.join(', ');
  return first.module === '?'
    ? 'code outside of all modules'
    : `${baseName(first.module)}+0x${first.offset.toString(16)}`;
}

/**
 * Where the program made the calls that these stacks show; lines of one function are listed together. A place without a
 * name is in the callee of something that may have one: `app.exe+0x1234 below rotate_all (log.c:9)`.
 */
export function spellPlace(...stacks: readonly Stack[]): string {
  const frames = stacks.flatMap((stack) => dissect(stack).site ?? outermostSystemFrame(stack) ?? []);
  const caller = namedCaller(stacks[0] ?? []);
  if (caller === undefined) return spellFrames(frames);
  // The module stands before it already.
  const isAtHome = caller.file === undefined && caller.module === frames[0]?.module;
  return `${spellFrames(frames)} below ${isAtHome ? functionName(caller) : spellFrames([caller])}`;
}

/** The innermost function of the program with a name, if the site has none. */
function namedCaller(stack: Stack): Frame | undefined {
  const { stack: trimmed, site } = dissect(stack);
  if (site === undefined || functionName(site) !== undefined || site.file !== undefined) return undefined;
  const isNamed = (frame: Frame): boolean =>
    frame.system !== true && frame.runtime !== true && functionName(frame) !== undefined;
  return trimmed.slice(trimmed.indexOf(site)).find(isNamed);
}

/** `ws2_32!WSAStartup` */
export function spellApi(frame: Frame): string {
  const module = moduleName(frame).replace(/\.dll$/, '');
  const name = functionName(frame);
  return name === undefined ? `${module}+0x${frame.offset.toString(16)}` : `${module}!${name}`;
}

/** `One File handle`, `3 sockets`, `2 FILEs`: the beginning of a sentence. */
export function spellCount(count: number, object: HandleObject): string {
  const noun = `${spellNoun(object.wrapper ?? object)}${count === 1 ? '' : 's'}`;
  return count === 1 ? `One ${noun}` : `${count} ${noun}`;
}

/** `Event handle 0x1a4`, `Event handles 0x1a4, 0x1a8 and 3 more`: the subject of a sentence about misused values. */
export function spellSubject(object: HandleObject, values: readonly bigint[]): string {
  const noun = spellNoun(object);
  const subject = capitalise(noun);
  return `${subject}${values.length > 1 ? 's' : ''} ${spellValues(values, object.type)}`;
}

/** `0x1a4, 0x1a8, 0x1ac and 5 more` */
export function spellValues(values: readonly bigint[], type?: string): string {
  const shown = values.slice(0, 3).map((value) => spellValue(value, type));
  const rest = values.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** `, 7 times`, or nothing for once. */
export function spellTimes(count: number): string {
  return count === 1 ? '' : `, ${count} times`;
}

/** The maker of a refused call, and its place: `SetEvent at main (gate.c:40)`. */
export function spellOffender(misuses: readonly Pick<Misuse, 'offending'>[], system: boolean): string {
  const { site, api } = dissect(misuses[0]?.offending.stack ?? []);
  const places = spellPlace(...misuses.map((misuse) => misuse.offending.stack));
  const call = misuses[0]?.offending.call ?? 'a call';
  if (!system) return `${api === undefined ? call : (functionName(api) ?? call)} at ${places}`;
  if (site === undefined && isCut(misuses[0]?.offending.stack ?? []))
    return `${call} at ${places}, too deep to see who asked for it,`;
  if (site === undefined || api === undefined) return `${call}, made by the system at ${places}`;
  return `${call}, made by ${spellApi(api)} for itself (called at ${places})`;
}

/** The text as the beginning of a sentence. */
export function capitalise(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1);
}

function compareNumerically(left: string, right: string): number {
  const [leftFile = '', leftLine = '0'] = left.split(/:(?=\d+$)/);
  const [rightFile = '', rightLine = '0'] = right.split(/:(?=\d+$)/);
  if (leftFile !== rightFile) return leftFile < rightFile ? -1 : 1;
  return Number(leftLine) - Number(rightLine);
}

/** ` by process 48 (server.exe)`; nothing for the target itself. */
export function spellActor(process: OtherProcess | undefined): string {
  return process === undefined ? '' : ` by process ${process.pid} (${baseName(process.image)})`;
}

/** `, opened at a (x.c:1) and closed at b (x.c:2),`; a close that the recorder did not see is named too. */
export function spellHistory(
  misuses: readonly Pick<Misuse, 'opened' | 'openedBy' | 'closed' | 'closedBy'>[],
  close: 'was-closed' | 'may-be-open',
): string {
  const opened = misuses.flatMap((misuse) => (misuse.opened === undefined ? [] : [misuse.opened.stack]));
  const closed = misuses.flatMap((misuse) => (misuse.closed === undefined ? [] : [misuse.closed.stack]));
  const [{ openedBy, closedBy } = {}] = misuses;
  const parts = opened.length === 0 ? [] : [`opened at ${spellPlace(...opened)}${spellActor(openedBy)}`];
  if (closed.length > 0) parts.push(`closed at ${spellPlace(...closed)}${spellActor(closedBy)}`);
  else if (close === 'was-closed') parts.push('closed out of sight of the recorder');
  return parts.length === 0 ? '' : `, ${parts.join(' and ')},`;
}
