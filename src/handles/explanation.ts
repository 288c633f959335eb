import { PROCESS_DUP_HANDLE } from '../ffi/constants.ts';
import { isWine, NtCompareObjects } from '../ffi/ntdll.ts';
import { type AsHandle, formatRaw, unsafeRawHandle } from '../io/index.ts';
import { listProcesses, openProcess, type ProcessInfo } from '../process/processes.ts';
import type { DescribableHandle, HandleDescriber, HandleDescription } from './describe.ts';
import { withDuplicate } from './duplicate.ts';
import { type HandleEntry, HandleTable } from './enumerate.ts';
import { type Detail, queryObjectDetails, queryReferenceCounts, type ReferenceCounts } from './object-details.ts';
import { OpenedProcesses } from './opened-processes.ts';
import { UserError } from '../user-error.ts';

/** Another handle to the same object. */
interface OtherHandle {
  readonly process: ProcessInfo;
  readonly value: bigint;
  readonly access: number;
}

/** Everything that can be found out about one handle. */
export interface Explanation {
  readonly process: ProcessInfo;
  readonly entry: HandleEntry;
  readonly description: HandleDescription;
  readonly references?: ReferenceCounts;
  readonly details: readonly Detail[];
  /** All other handles to the same object, also those of the same process. */
  readonly others: readonly OtherHandle[];
  /** Why {@link others} may be incomplete; absent when it is complete. */
  readonly othersProblem?: string;
}

/** The process has no such handle. */
export class HandleNotFoundError extends UserError {
  constructor(process: string, value: bigint, processId: number) {
    super(
      `Cannot find handle ${formatRaw(unsafeRawHandle(value))}: ${process} has no such handle open. Try unclosed handles ${processId}.`,
    );
  }
}

/** The line of the kernel's table for one handle; `undefined` when it is not open. */
export function findHandle(processId: number, value: bigint): HandleEntry | undefined {
  const table = HandleTable.readSystem().ofProcess(processId);
  for (let index = 0; index < table.count; index++) {
    if (table.valueAt(index) === value) return table.entryAt(index);
  }
  return undefined;
}

/**
 * Finds out everything about a handle.
 *
 * @param label the process's name in errors, escaped by the caller
 * @throws HandleNotFoundError when the process has no such handle
 */
export async function explainHandle(
  process: ProcessInfo,
  value: bigint,
  label: string,
  describer: HandleDescriber,
): Promise<Explanation> {
  const entry = findHandle(process.processId, value);
  if (entry === undefined) throw new HandleNotFoundError(label, value, process.processId);
  using target = openProcess(process.processId, PROCESS_DUP_HANDLE, label);
  const asked: DescribableHandle = {
    processId: process.processId,
    value,
    type: entry.type,
    ...(entry.type === 'File' ? { details: true } : {}),
  };
  const [description] = await describer.describe(target, [asked]);
  const details =
    description!.details ?? inspect(target, value, (handle) => queryObjectDetails(handle, entry.type)) ?? [];
  const references = inspect(target, value, (handle) => queryReferenceCounts(handle, 1));
  const others = findOthers(target, entry);
  return {
    process,
    entry,
    description: description!,
    details,
    ...(references === undefined ? {} : { references }),
    ...others,
  };
}

function inspect<T>(process: AsHandle, value: bigint, use: Parameters<typeof withDuplicate<T>>[3]): T | undefined {
  const answer = withDuplicate(process, value, undefined, (handle) => ({ found: use(handle) }));
  return 'code' in answer ? undefined : answer.found;
}

type Others = Pick<Explanation, 'others' | 'othersProblem'>;

/**
 * Finds the other handles to the same object: by its address where the kernel gives addresses, otherwise by duplicates
 * that the kernel compares.
 */
function findOthers(target: AsHandle, entry: HandleEntry): Others {
  const table = HandleTable.readSystem();
  const processes = new Map(listProcesses().map((process) => [process.processId, process]));
  const candidates: { readonly at: number; readonly process: ProcessInfo }[] = [];
  let address = 0n;
  for (let at = 0; at < table.count; at++) {
    const isItself = table.processIdAt(at) === entry.processId && table.valueAt(at) === entry.value;
    if (isItself) address = table.objectAddressAt(at);
    const found = processes.get(table.processIdAt(at));
    if (!isItself && found !== undefined && table.typeAt(at) === entry.type) candidates.push({ at, process: found });
  }
  const other = ({ at, process }: (typeof candidates)[number]): OtherHandle => ({
    process,
    value: table.valueAt(at),
    access: table.accessAt(at),
  });
  if (address !== 0n)
    return { others: candidates.filter(({ at }) => table.objectAddressAt(at) === address).map(other) };
  if (NtCompareObjects === undefined)
    return { others: [], othersProblem: 'this Windows tells neither where objects are nor whether two are the same' };
  if (entry.type === 'File' && !isWine) {
    // The duplicate of a synchronous file may block when it is closed.
    return { others: [], othersProblem: 'Windows tells where files are only to administrators' };
  }
  const compare = NtCompareObjects;
  const denied = new Set<ProcessInfo>();
  const others = inspect(target, entry.value, (handle) => {
    using opened = new OpenedProcesses();
    return candidates.filter(({ at, process }) => {
      const holder = opened.tryGet(process.processId);
      if (holder === undefined) {
        denied.add(process);
        return false;
      }
      return inspect(holder, table.valueAt(at), (candidate) => compare(handle, candidate) === 0) === true;
    });
  });
  if (others === undefined) return { others: [], othersProblem: 'the handle cannot be duplicated' };
  const problem = denied.size === 0 ? {} : { othersProblem: `${denied.size} processes could not be looked into` };
  return { others: others.map(other), ...problem };
}
