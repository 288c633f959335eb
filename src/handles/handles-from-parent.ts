import type { AsHandle, RawHandle } from '../io/index.ts';
import type { OpenHandle } from '../evidence-model.ts';
import { HandleDescriber } from './describe.ts';
import type { HandleEntry, HandleTable } from './enumerate.ts';

/** Types that Windows gives to every process. No program passes them on by accident. */
const givenToAll: ReadonlySet<string> = new Set(['WindowStation', 'Desktop', 'Directory', 'KeyedEvent']);

/**
 * The handles that a process got at its start because its parent had them open and inheritable, without those that were
 * meant for it. An inherited handle has the same value as in the parent, and stays inheritable.
 *
 * @param table the process's handles before its first instruction
 * @param meant values of the handles that were passed on purpose: the standard streams
 */
export function listInherited(table: HandleTable, meant: readonly RawHandle[]): readonly HandleEntry[] {
  const expected = new Set(meant.map((value) => BigInt.asUintN(64, value)));
  return Array.from({ length: table.count }, (_, index) => table.entryAt(index)).filter(
    ({ value, type, inheritable }) => inheritable && !givenToAll.has(type) && !expected.has(BigInt.asUintN(64, value)),
  );
}

/**
 * Gives inherited handles their names.
 *
 * @throws Win32Error when the process that asks for names cannot be started
 */
export async function describeInherited(
  process: AsHandle,
  processId: number,
  entries: readonly HandleEntry[],
): Promise<readonly OpenHandle[]> {
  if (entries.length === 0) return [];
  using describer = new HandleDescriber();
  const descriptions = await describer.describe(
    process,
    entries.map(({ value, type }) => ({ processId, value, type })),
  );
  return entries.map(({ value, type, access, inheritable, protectFromClose }, index) => ({
    value,
    object: descriptions[index]?.object ?? { type },
    access,
    inheritable,
    protectFromClose,
  }));
}
