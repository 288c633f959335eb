import type { SocketDescription } from '../model.ts';
import { escapeJson } from '../text/escape.ts';

/**
 * A snapshot file is one JSON document in UTF-8. Its lines allow line tools and version control to compare two of them,
 * and this tool to read a million handles without a tree in memory:
 *
 *     {"kind":"unclosed snapshot","schemaVersion":1,"tool":…,"host":…,"taken":…,"processes":[
 *     {"pid":1234,"image":"app.exe","started":…,"handles":[
 *     {"value":"0x4","type":"Event","access":"0x1f0003","name":…},
 *     …
 *     ]},
 *     …
 *     ],"handleCount":…,"namesMissing":…}
 *
 * Processes ascend by pid, handles by value. Keys have a fixed order. Unknown values are left out.
 */
export const schemaVersion = 1;

/** The value of {@link SnapshotHeader.kind}. */
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
  /** When it was started: ISO 8601, UTC. Distinguishes it from a later process with the same pid. */
  readonly started?: string;
  /** The reason why its handles have no names. */
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
  /** Whether the process or thread has ended. */
  readonly ended?: true;
}

/** The last line of a snapshot. Without it the file is incomplete. */
export interface SnapshotTrailer {
  readonly handleCount: number;
  /**
   * Handles whose name is not known: the question timed out, access was denied, or the handle was closed in between.
   */
  readonly namesMissing: number;
}

export function writeHeader({ tool, host, taken }: Omit<SnapshotHeader, 'kind' | 'schemaVersion'>): string {
  return `{"kind":${quote(snapshotKind)},"schemaVersion":${schemaVersion},"tool":${quote(tool)},"host":${quote(host)},"taken":${quote(taken)},"processes":[\n`;
}

/** @param isFirst whether it is the first process of the file, which has no comma before it */
export function writeProcess({ pid, image, started, problem }: SnapshotProcess, isFirst: boolean): string {
  const optional = `${started === undefined ? '' : `,"started":${quote(started)}`}${problem === undefined ? '' : `,"problem":${quote(problem)}`}`;
  return `${isFirst ? '' : ']},\n'}{"pid":${pid},"image":${quote(image)}${optional},"handles":[\n`;
}

/** @param isLast whether it is the last handle of its process, which has no comma after it */
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

/** A handle's value as snapshots spell it. In their order, negative values, which only the kernel has, come last. */
export function spellValue(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16);
}

/** Compares two values by their numbers: less than 0, 0, or more than 0. */
export function compareValues(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** A snapshot is read in terminals, and every handle is one line of it. */
function quote(text: string): string {
  return escapeJson(JSON.stringify(text));
}
