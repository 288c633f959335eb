import { readdirSync, type Stats, statSync } from 'node:fs';
import { win32 } from 'node:path';

import { FileBytes, type LogBytes } from './log-bytes.ts';

/** A log of a process, and when it began. */
export interface OpenedLog {
  readonly bytes: LogBytes;
  /** FILETIME of the log's first microsecond; absent where it is not known. */
  readonly startTime: bigint | undefined;
}

/** FILETIME of 1970. */
const UNIX_EPOCH = 116_444_736_000_000_000n;

/** A process has a log for each isolate: for itself, and for each worker thread. */
const LOGS_MAX = 1024;

/**
 * The paths of the logs of a process in a directory: `isolate<address>-<process id>-<name>`, as PrepareLogFileName in
 * V8's src/logging/log.cc names them. None where there is no such directory.
 */
export function listLogs(directory: string, processId: number): readonly string[] {
  const pattern = new RegExp(`^isolate-?(?:0x)?[0-9A-Fa-f]+-${processId}-`);
  try {
    return readdirSync(directory)
      .filter((name) => pattern.test(name))
      .slice(0, LOGS_MAX)
      .map((name) => win32.join(directory, name));
  } catch {
    return []; // the process has made none
  }
}

/** Opens a log; `undefined` where it is gone, or a process has it for itself alone. */
export function openLog(path: string): OpenedLog | undefined {
  try {
    return { bytes: new FileBytes(path), startTime: startTimeOf(statSync(path)) };
  } catch {
    return undefined;
  }
}

/** {@link OpenedLog.startTime} by what the file system says of a log. */
export function startTimeOf({ birthtimeMs, mtimeMs }: Stats): bigint | undefined {
  // Wine 8 does not know when a file was made, and gives the time of the last write instead.
  return birthtimeMs === mtimeMs ? undefined : BigInt(Math.round(birthtimeMs * 10_000)) + UNIX_EPOCH;
}
