import type { SocketDescription } from '../model.ts';
import { escapeJson } from '../text/escape.ts';

/**
 * A snapshot file is one JSON document in UTF-8, laid out in lines so that line tools and version control can compare
 * two of them, and so that a million handles can be read without making a tree of them:
 *
 *     {"kind":"unclosed snapshot","schemaVersion":1,"tool":…,"host":…,"taken":…,"processes":[
 *     {"pid":1234,"image":"app.exe","started":…,"handles":[
 *     {"value":"0x4","type":"Event","access":"0x1f0003","name":…},
 *     …
 *     ]},
 *     …
 *     ],"handleCount":…,"namesMissing":…}
 *
 * Processes ascend by pid, handles by value; keys stand in one order; what is not known is left out.
 */
export const schemaVersion = 1;

/** What {@link SnapshotHeader.kind} says. */
export const snapshotKind = 'unclosed snapshot';

/** The first line of a snapshot. */
export interface SnapshotHeader {
  readonly kind: typeof snapshotKind;
  readonly schemaVersion: typeof schemaVersion;
  /** Name and version of the tool that took it. */
  readonly tool: string;
  /** Name of the computer that it was taken on. */
  readonly host: string;
  /** When it was taken: ISO 8601, UTC. */
  readonly taken: string;
}

/** A process in a snapshot, before its handles. */
export interface SnapshotProcess {
  readonly pid: number;
  /** File name of the program: `app.exe`. */
  readonly image: string;
  /** When it was started: ISO 8601, UTC. Tells it from another process that has the same pid later. */
  readonly started?: string;
  /** Why none of its handles has a name. */
  readonly problem?: string;
}

/** A handle in a snapshot. */
export interface SnapshotHandle {
  /** Lower-case hexadecimal digits without the `0x`, without leading zeros. */
  readonly value: string;
  readonly type: string;
  readonly access: number;
  readonly inheritable?: true;
  readonly protectFromClose?: true;
  readonly name?: string;
  readonly nameProblem?: string;
  readonly socket?: SocketDescription;
  /** The process or thread has ended. */
  readonly ended?: true;
}

/** The last line of a snapshot: without it, the file has been cut short. */
export interface SnapshotTrailer {
  readonly handleCount: number;
  /** Handles whose name could not be had: timed out, denied, or closed meanwhile. */
  readonly namesMissing: number;
}

export function writeHeader({ tool, host, taken }: Omit<SnapshotHeader, 'kind' | 'schemaVersion'>): string {
  return `{"kind":${quote(snapshotKind)},"schemaVersion":${schemaVersion},"tool":${quote(tool)},"host":${quote(host)},"taken":${quote(taken)},"processes":[\n`;
}

/** @param isFirst no comma before it: it is the file's first process */
export function writeProcess({ pid, image, started, problem }: SnapshotProcess, isFirst: boolean): string {
  const optional = `${started === undefined ? '' : `,"started":${quote(started)}`}${problem === undefined ? '' : `,"problem":${quote(problem)}`}`;
  return `${isFirst ? '' : ']},\n'}{"pid":${pid},"image":${quote(image)}${optional},"handles":[\n`;
}

/** @param isLast no comma after it: it is its process' last handle */
export function writeHandle(handle: SnapshotHandle, isLast: boolean): string {
  const { value, type, access, name, nameProblem, socket } = handle;
  let line = `{"value":"0x${value}","type":${quote(type)},"access":"0x${access.toString(16)}"`;
  if (handle.inheritable) line += ',"inheritable":true';
  if (handle.protectFromClose) line += ',"protectFromClose":true';
  if (name !== undefined) line += `,"name":${quote(name)}`;
  if (nameProblem !== undefined) line += `,"nameProblem":${quote(nameProblem)}`;
  if (socket !== undefined) {
    const { protocol, local, remote, state } = socket;
    line += `,"socket":${escapeJson(JSON.stringify({ protocol, local, remote, state }))}`;
  }
  if (handle.ended) line += ',"ended":true';
  return `${line}}${isLast ? '' : ','}\n`;
}

export function writeTrailer({ handleCount, namesMissing }: SnapshotTrailer, hasProcesses: boolean): string {
  return `${hasProcesses ? ']}\n' : ''}],"handleCount":${handleCount},"namesMissing":${namesMissing}}\n`;
}

/** A handle's value as snapshots order and spell it. Negative values, which only the kernel has, come last. */
export function spellValue(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16);
}

/** Less than 0, 0 or more than 0, by the numbers that the digits stand for. */
export function compareValues(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** A snapshot is read in terminals, and every handle is one line of it. */
function quote(text: string): string {
  return escapeJson(JSON.stringify(text));
}
