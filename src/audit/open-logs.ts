import { statSync } from 'node:fs';
import { win32 } from 'node:path';

import { CreateFileMappingW, MapViewOfFile, UnmapViewOfFile } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { HandleDescriber } from '../handles/describe.ts';
import { withDuplicate } from '../handles/duplicate.ts';
import type { HandleTable } from '../handles/enumerate.ts';
import { BorrowedHandle, CURRENT_PROCESS, HandleOrNull } from '../io/index.ts';
import { tryReadMemory } from '../process/memory.ts';
import type { Target } from '../process/target.ts';
import { listLogs, openLog, type OpenedLog, startTimeOf } from '../symbols/v8/list-logs.ts';
import type { LogBytes } from '../symbols/v8/log-bytes.ts';

const PAGE_READONLY = 0x02;
const FILE_MAP_READ = 0x4;

/**
 * Opens the logs of V8 that a target has in a directory. V8 15 opens its log for itself alone: such a log is read by
 * a duplicate of the target's own handle.
 *
 * @param readTable reads the target's handles; gives none where it has ended
 * @throws Win32Error when a handle of the tool's own cannot be closed
 */
export async function openLogs(
  directory: string,
  target: Target,
  readTable: () => HandleTable | undefined,
): Promise<readonly OpenedLog[]> {
  const paths = listLogs(directory, target.pid);
  const logs = new Map(paths.map((path) => [path, openLog(path)]));
  const held = paths.filter((path) => logs.get(path) === undefined);
  const table = held.length === 0 ? undefined : readTable();
  if (table !== undefined) {
    for (const [path, value] of await findHeld(held, target, table)) logs.set(path, openHeld(path, value, target));
  }
  return [...logs.values()].filter((log) => log !== undefined);
}

/** The target's handles of some files: the name of a log is that of no other file. */
async function findHeld(
  paths: readonly string[],
  target: Target,
  table: HandleTable,
): Promise<ReadonlyMap<string, bigint>> {
  const byName = new Map(paths.map((path) => [nameOf(path), path]));
  const files = Array.from({ length: table.count }, (_, index) => table.entryAt(index))
    .filter(({ type }) => type === 'File')
    .map(({ value, type }) => ({ processId: target.pid, value, type }));
  using describer = new HandleDescriber();
  const descriptions = await describer.describe(target, files);
  return new Map(
    descriptions.flatMap(({ object: { name = '' } }, index) => {
      const path = byName.get(nameOf(name));
      return path === undefined ? [] : [[path, files[index]!.value]];
    }),
  );
}

function nameOf(path: string): string {
  return win32.basename(path).toLowerCase();
}

function openHeld(path: string, value: bigint, target: Target): OpenedLog | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const bytes = withDuplicate(target, value, undefined, (handle) => MappedBytes.map(handle, stats.size));
  return bytes instanceof MappedBytes ? { bytes, startTime: startTimeOf(stats) } : undefined;
}

/**
 * The bytes of a file by any handle that may read it. They are mapped: to read by the handle would move the place at
 * which its owner goes on to write.
 */
class MappedBytes implements LogBytes {
  readonly sizeBytes: number;
  readonly #view: bigint;

  private constructor(view: bigint, sizeBytes: number) {
    this.#view = view;
    this.sizeBytes = sizeBytes;
  }

  /** `undefined` where the handle may not read, the file is empty, or it is no longer so large. */
  static map(file: HANDLE, sizeBytes: number): MappedBytes | undefined {
    const raw = CreateFileMappingW(file, null, PAGE_READONLY, 0, 0, null);
    if (raw === 0n) return undefined;
    using section = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
    const view = MapViewOfFile(section.asRawHandle(), FILE_MAP_READ, 0, 0, BigInt(sizeBytes));
    return view === 0n ? undefined : new MappedBytes(view, sizeBytes);
  }

  /** By a call that fails where the disk does: a load would end the tool. */
  read(offset: number, sizeBytes: number): Buffer | undefined {
    const end = Math.min(offset + sizeBytes, this.sizeBytes);
    const self = BorrowedHandle.borrowRaw(CURRENT_PROCESS);
    return tryReadMemory(self, this.#view + BigInt(offset), Math.max(0, end - offset));
  }

  [Symbol.dispose](): void {
    UnmapViewOfFile(this.#view);
  }
}
