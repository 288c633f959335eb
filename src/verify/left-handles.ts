import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

import { PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION } from '../ffi/constants.ts';
import { HandleDescriber } from '../handles/describe.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { describeMeaning } from '../handles/list.ts';
import { BorrowedHandle, CURRENT_PROCESS, type LiveOwner } from '../io/index.ts';
import { liveOwnerRecords } from '../io/ownership.ts';
import { openProcess } from '../process/processes.ts';
import type { LeftHandle, VerifyOptions } from './options.ts';

/** Handles that are described, at most: a thousand of one loop read like the first of them. */
const DESCRIBED_MAX = 100;

const judgedByDefault = ['File', 'Process', 'Token', 'Section', 'Mutant'];

/** Devices that Windows' own libraries open once, and keep: for random numbers, sockets, the console. */
const systemDevice: RegExp =
  /^(?:\\Device\\|\\\\\.\\)(?:CNG|KsecDD|Nsi|DeviceApi|ConDrv|Afd)(?:\\(?:CMApi|Connect|Input|Output))?$/i;

/** The open handles of this process at one moment, and the owners of this thread. */
export interface Moment {
  /** By their values. */
  readonly handles: ReadonlyMap<bigint, { readonly type: string; readonly access: number }>;
  readonly owners: ReadonlySet<LiveOwner>;
}

/** A handle that was opened since a moment. */
interface NewHandle {
  readonly value: bigint;
  /** Absent where the table was not read. */
  readonly type: string | undefined;
  readonly owner: LiveOwner | undefined;
}

/** @throws NtStatusError when the kernel does not give the handle table */
export function readMoment({ types = judgedByDefault, allThreads = isMainThread }: VerifyOptions): Moment {
  const owners = liveOwnerRecords();
  // In a worker thread the handles of other threads cannot be told from its own.
  if (!allThreads) return { handles: new Map(), owners };
  const handles = new Map<bigint, { readonly type: string; readonly access: number }>();
  const table = readOwnTable();
  for (let index = 0; index < table.count; index++) {
    const type = table.typeAt(index);
    if (types === 'all' || types.includes(type))
      handles.set(table.valueAt(index), { type, access: table.accessAt(index) });
  }
  return { handles, owners };
}

/** The handles that are open now and were not at a moment before. */
export function listNew(before: Moment, now: Moment): readonly NewHandle[] {
  const found = new Map<bigint, NewHandle>();
  for (const [value, { type, access }] of now.handles) {
    const was = before.handles.get(value);
    if (was?.type !== type || was.access !== access) found.set(value, { value, type, owner: undefined });
  }
  for (const owner of now.owners) {
    const value = BigInt.asUintN(64, owner.raw);
    // A handle that was there may have a new owner: it was moved.
    if (!before.owners.has(owner) && !isHeld(before, value))
      found.set(value, { value, type: now.handles.get(value)?.type, owner });
  }
  return [...found.values()];
}

/**
 * Names handles of this process. Those that Windows' own libraries keep are left out, and those that the caller
 * ignores.
 *
 * @throws NtStatusError or Win32Error when Windows refuses what it takes
 */
export async function describeNew(
  found: readonly NewHandle[],
  ignore: VerifyOptions['ignore'],
): Promise<readonly LeftHandle[]> {
  if (found.length === 0) return [];
  const types = found.some(({ type }) => type === undefined) ? readTypes() : new Map<bigint, string>();
  const typed = found.map(({ type, ...rest }) => ({ ...rest, type: type ?? types.get(rest.value) ?? 'Unknown' }));
  const self = openProcess(process.pid, PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION);
  const describer = new HandleDescriber();
  try {
    const described = typed.slice(0, DESCRIBED_MAX);
    const descriptions = await describer.describe(
      self,
      described.map(({ value, type }) => ({ processId: process.pid, value, type })),
    );
    return typed.flatMap(({ value, type, owner }, index): readonly LeftHandle[] => {
      const description = descriptions[index];
      const left: LeftHandle = {
        value,
        type: owner?.kind === 'socket' ? 'Socket' : (description?.object.type ?? type),
        name: description === undefined ? '' : describeMeaning(description),
        ...(owner === undefined || owner.stack === '' ? {} : { madeAt: findMaker(owner.stack) }),
      };
      const isSystems = owner === undefined && systemDevice.test(left.name);
      return isSystems || ignore?.(left) === true ? [] : [left];
    });
  } finally {
    describer[Symbol.dispose]();
    self[Symbol.dispose]();
  }
}

function readOwnTable(): HandleTable {
  return HandleTable.readProcess(BorrowedHandle.borrowRaw(CURRENT_PROCESS), process.pid);
}

function readTypes(): ReadonlyMap<bigint, string> {
  const table = readOwnTable();
  return new Map(Array.from({ length: table.count }, (_, index) => [table.valueAt(index), table.typeAt(index)]));
}

function isHeld({ owners }: Moment, value: bigint): boolean {
  for (const { raw } of owners) if (BigInt.asUintN(64, raw) === value) return true;
  return false;
}

/** The folders of this package, as stacks name them: some runners show the TypeScript that a file was made of. */
const ownFolders: readonly string[] = ['../../dist/', '../../src/'].flatMap((folder) => {
  const { href } = new URL(folder, import.meta.url);
  const path = fileURLToPath(href);
  return [href, path, path.replaceAll('\\', '/')];
});

/** The innermost frame of a stack that is not of this package: `open (file:///C:/work/log.js:12:20)`. */
function findMaker(stack: string): string {
  const frames = stack.split('\n').map((line) => line.trim().replace(/^at /, ''));
  const isOwn = (frame: string): boolean => ownFolders.some((folder) => frame.includes(folder));
  return frames.find((frame) => !isOwn(frame)) ?? frames[0] ?? '';
}
