import type { HandleObject } from '../model.ts';
import { enableDebugPrivilege } from '../process/elevation.ts';
import type { ProcessInfo } from '../process/processes.ts';
import { decodeAccess } from './access.ts';
import type { HandleDescriber, HandleDescription } from './describe.ts';
import { HandleTable } from './enumerate.ts';
import { OpenedProcesses } from './opened-processes.ts';
import type { ProcessObject } from './process-objects.ts';

/** The properties that many handles share. There are few different ones, and one object for each. */
export interface HandleKind {
  /** Kernel type name: `File` for a socket. */
  readonly type: string;
  /** `GrantedAccess` bits. */
  readonly access: number;
  /** {@link decodeAccess}, joined: `FILE_READ_DATA|SYNCHRONIZE`. */
  readonly accessText: string;
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}

/** One handle of one process. */
export interface ListedHandle {
  readonly process: ProcessInfo;
  readonly value: bigint;
  readonly kind: HandleKind;
  /** Absent when names were not asked for. */
  readonly description?: HandleDescription;
}

/** One process whose handles are listed. */
export interface ListedProcess {
  readonly process: ProcessInfo;
  /** Handles in the kernel's table, before any filter. */
  readonly handleCount: number;
  /** Why its handles have no names; absent when they can be examined. */
  readonly problem?: string;
}

/** Which handles to list. All conditions must hold. */
export interface HandleFilter {
  /** Type names in lower case; `socket` is one. */
  readonly types?: ReadonlySet<string>;
  readonly inheritable?: boolean;
  /** Called with each text that may identify a handle: its name, its endpoints, its program's path. */
  readonly matchesName?: (text: string) => boolean;
}

interface ListOptions {
  readonly filter?: HandleFilter;
  /** Describes the handles; if absent, only what the table says is listed. */
  readonly describer?: HandleDescriber | undefined;
  /** Called for every process before its first handle. */
  readonly onProcess?: (process: ListedProcess) => void;
}

const UNNAMED_BATCH_SIZE = 4_096;

/**
 * Lists the handles of processes, in the order of the processes and of the kernel's table, in batches: a million
 * handles are never objects at the same time.
 *
 * A process that cannot be opened is reported to {@link ListOptions.onProcess}, and its handles are listed as far as
 * the table describes them. A process that has ended by then has none.
 *
 * @throws NtStatusError when the kernel does not give the table
 */
export async function* listHandles(
  processes: readonly ProcessInfo[],
  options: ListOptions = {},
): AsyncGenerator<readonly ListedHandle[]> {
  const { filter = {}, describer, onProcess } = options;
  const isWantedType = tableTypeTest(filter.types);
  const batchSize = describer?.batchSize ?? UNNAMED_BATCH_SIZE;
  enableDebugPrivilege();
  using opened = new OpenedProcesses();
  const tables = readTables(processes, opened);
  let batch: UndescribedHandle[] = [];

  for (const process of processes) {
    const table = tables(process);
    const problem = describer === undefined ? undefined : opened.problem(process.processId);
    onProcess?.({ process, handleCount: table.count, ...(problem === undefined ? {} : { problem }) });
    const kinds = new HandleKinds(table);
    for (let index = 0; index < table.count; index++) {
      const kind = kinds.at(index);
      if (!isWantedType(kind.type) || (filter.inheritable === true && !kind.inheritable)) continue;
      batch.push({ process, processId: process.processId, value: table.valueAt(index), type: kind.type, kind });
      if (batch.length < batchSize) continue;
      yield await describe(batch, opened, describer, filter);
      batch = [];
    }
  }
  if (batch.length > 0) yield await describe(batch, opened, describer, filter);
}

interface UndescribedHandle extends ListedHandle {
  readonly processId: number;
  readonly type: string;
}

/** The table of the one process, if there is only one; otherwise one table for all. */
function readTables(processes: readonly ProcessInfo[], opened: OpenedProcesses): (process: ProcessInfo) => HandleTable {
  if (processes.length === 1) {
    const { processId } = processes[0]!;
    const process = opened.tryGet(processId);
    const table =
      process === undefined
        ? HandleTable.readSystem().ofProcess(processId)
        : HandleTable.readProcess(process, processId);
    return () => table;
  }
  const byProcess = HandleTable.readSystem().byProcess();
  const none = HandleTable.empty();
  return ({ processId }) => byProcess.get(processId) ?? none;
}

async function describe(
  batch: readonly UndescribedHandle[],
  opened: OpenedProcesses,
  describer: HandleDescriber | undefined,
  filter: HandleFilter,
): Promise<readonly ListedHandle[]> {
  if (describer === undefined) return batch;
  const open = batch.filter(({ processId }) => opened.tryGet(processId) !== undefined);
  const descriptions = await describer.describeOf(({ processId }) => opened.tryGet(processId)!, open);
  const described: ListedHandle[] = [];
  let next = 0;
  for (const { process, processId, value, kind } of batch) {
    const problem = opened.problem(processId);
    const description =
      problem === undefined ? descriptions[next++]! : { object: { type: kind.type }, nameProblem: problem };
    const listed = { process, value, kind, description };
    if (matches(listed, filter)) described.push(listed);
  }
  return described;
}

function matches(
  { description }: { readonly description: HandleDescription },
  { types, matchesName }: HandleFilter,
): boolean {
  if (types !== undefined && !types.has(description.object.type.toLowerCase())) return false;
  return matchesName === undefined || textsOf(description).some(matchesName);
}

/** Every text that may identify an object. */
function textsOf({ object, imagePath }: HandleDescription): readonly string[] {
  const { name, socket } = object;
  if (socket === undefined) return [name, imagePath].filter((text) => text !== undefined);
  return [describeSocket(socket), socket.local, socket.remote].filter((text) => text !== undefined);
}

/** `TCP 127.0.0.1:8080 -> 127.0.0.1:49152 connected`. */
function describeSocket({ protocol, local, remote, state }: NonNullable<HandleObject['socket']>): string {
  const endpoints = remote === undefined ? [local] : [local, '->', remote];
  return [protocol, ...endpoints, state].filter((part) => part !== undefined).join(' ');
}

/**
 * A handle's object in one line: a name, a socket's endpoints, a process and whether it has ended. Empty for an object
 * without a name. Names in it come from the target: escape them where they are shown.
 */
export function describeMeaning(description: HandleDescription): string {
  const { object, nameProblem } = description;
  if (nameProblem !== undefined)
    return nameProblem === 'timed out' ? 'name timed out' : `name not known: ${nameProblem}`;
  const name = object.socket === undefined ? (object.name ?? '') : describeSocket(object.socket);
  return name + describeFate(description);
}

function describeFate({ ended, exitCode }: ProcessObject): string {
  if (ended !== true) return '';
  return exitCode === undefined ? ', ended' : `, ended with ${exitCode}`;
}

/** Tests the kernel's type. A socket is a file to the kernel. */
function tableTypeTest(types: ReadonlySet<string> | undefined): (type: string) => boolean {
  if (types === undefined) return () => true;
  return (type) => types.has(type.toLowerCase()) || (type === 'File' && types.has('socket'));
}

/** The kinds of one table's handles, each made once. */
class HandleKinds {
  readonly #table: HandleTable;
  #lastKey = '';
  #last: HandleKind | undefined;

  constructor(table: HandleTable) {
    this.#table = table;
  }

  at(index: number): HandleKind {
    const table = this.#table;
    const type = table.typeAt(index);
    const access = table.accessAt(index);
    const attributes = (table.inheritableAt(index) ? 1 : 0) + (table.protectFromCloseAt(index) ? 2 : 0);
    const last = this.#last;
    // Most handles are like their neighbour in the table. For these no key is built.
    if (
      last !== undefined &&
      last.type === type &&
      last.access === access &&
      this.#lastKey.charCodeAt(0) === attributes
    )
      return last;
    const key = `${String.fromCharCode(attributes)}${access} ${type}`;
    let kind = kinds.get(key);
    if (kind === undefined) {
      kind = {
        type,
        access,
        accessText: decodeAccess(type, access).join('|'),
        inheritable: (attributes & 1) !== 0,
        protectFromClose: (attributes & 2) !== 0,
      };
      kinds.set(key, kind);
    }
    this.#lastKey = key;
    this.#last = kind;
    return kind;
  }
}

const kinds = new Map<string, HandleKind>();
