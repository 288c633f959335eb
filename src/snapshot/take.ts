import { PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION } from '../ffi/constants.ts';
import { HandleDescriber, type HandleDescription } from '../handles/describe.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { SystemError } from '../io/index.ts';
import { fileTimeToIso } from '../process/file-time.ts';
import { openProcess, type ProcessInfo } from '../process/processes.ts';
import { type SnapshotHeader, spellValue, writeHandle, writeHeader, writeProcess, writeTrailer } from './format.ts';

/** How many handles are described at a time, so that a million of them need not be in memory. */
const BATCH_SIZE = 4096;

/**
 * Takes a snapshot of processes, and yields the text of a snapshot file piece by piece. The handle tables are those of
 * one moment. Names are asked for afterwards, so that a handle that was closed in between has none.
 *
 * A process that denies access is in the snapshot with its handles, without their names, and with the reason.
 *
 * @param processes each once
 * @throws NtStatusError when the kernel's handle table cannot be read
 */
export async function* takeSnapshot(
  processes: readonly ProcessInfo[],
  header: Pick<SnapshotHeader, 'tool' | 'host'>,
): AsyncGenerator<string, void, undefined> {
  const table = HandleTable.readSystem();
  yield writeHeader({ ...header, taken: new Date().toISOString() });
  using describer = new HandleDescriber();
  const counts = { handleCount: 0, namesMissing: 0 };
  let isFirst = true;
  for (const process of processes.toSorted((a, b) => a.processId - b.processId)) {
    yield* takeProcess(process, table.ofProcess(process.processId), describer, isFirst, counts);
    isFirst = false;
  }
  yield writeTrailer(counts, !isFirst);
}

async function* takeProcess(
  { processId, name, startTime }: ProcessInfo,
  table: HandleTable,
  describer: HandleDescriber,
  isFirst: boolean,
  counts: { handleCount: number; namesMissing: number },
): AsyncGenerator<string, void, undefined> {
  const opened = tryOpen(processId);
  using process = opened instanceof SystemError ? undefined : opened;
  // To the tick, because two processes of one pid may start within a millisecond.
  const startedIso = fileTimeToIso(startTime);
  const started = startedIso === undefined ? {} : { started: startedIso };
  const problem = opened instanceof SystemError ? { problem: opened.message } : {};
  yield writeProcess({ pid: processId, image: name, ...started, ...problem }, isFirst);

  const order = sortedByValue(table);
  for (let start = 0; start < order.length; start += BATCH_SIZE) {
    const entries = Array.from(order.subarray(start, start + BATCH_SIZE), (index) => table.entryAt(index));
    const descriptions: readonly Partial<HandleDescription>[] =
      process === undefined ? [] : await describer.describe(process, entries);
    let text = '';
    entries.forEach(({ value, type, access, inheritable, protectFromClose }, index) => {
      const { object = { type }, nameProblem, ended } = descriptions[index] ?? {};
      counts.handleCount++;
      if (process === undefined || nameProblem !== undefined) counts.namesMissing++;
      text += writeHandle(
        {
          value: spellValue(value),
          access,
          ...object,
          ...(inheritable ? { inheritable } : {}),
          ...(protectFromClose ? { protectFromClose } : {}),
          ...(nameProblem === undefined ? {} : { nameProblem }),
          ...(ended === true ? { ended } : {}),
        },
        start + index === order.length - 1,
      );
    });
    yield text;
  }
}

function tryOpen(processId: number): ReturnType<typeof openProcess> | SystemError {
  try {
    return openProcess(processId, PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION);
  } catch (error) {
    if (error instanceof SystemError) return error;
    throw error;
  }
}

/** Indices of the table by ascending value. The kernel keeps that order itself, except for its own handles. */
function sortedByValue(table: HandleTable): Uint32Array {
  const order = Uint32Array.from({ length: table.count }, (_, index) => index);
  const unsigned = (index: number): bigint => BigInt.asUintN(64, table.valueAt(index));
  for (let index = 1; index < order.length; index++) {
    if (unsigned(index - 1) > unsigned(index)) {
      return order.sort((a, b) => (unsigned(a) < unsigned(b) ? -1 : unsigned(a) > unsigned(b) ? 1 : 0));
    }
  }
  return order;
}
