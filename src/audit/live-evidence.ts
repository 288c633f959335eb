import type { CallLedger } from '../call-ledger.ts';
import { type GatheredEvidence, gather } from '../evidence/gather.ts';
import { entryOf, type EvidenceSources, type TableEntry } from '../evidence/sources.ts';
import { HandleDescriber } from '../handles/describe.ts';
import type { HandleTable } from '../handles/enumerate.ts';
import type { Target } from '../process/target.ts';

/**
 * Gathers the evidence of a target that exists: its kernel handle table, explained by the ledger.
 *
 * @param isStillOpen whether a value is still the handle that it was when the table was read; the target must not run
 *   meanwhile where this is absent
 * @throws Win32Error or NtStatusError when its handles cannot be looked at
 */
export async function gatherTable(
  target: Target,
  table: HandleTable,
  sources: EvidenceSources,
  isStillOpen?: (value: bigint) => boolean,
): Promise<GatheredEvidence> {
  const processId = target.pid;
  const isRecordersOwn = sources.ledger.recordersOwn();
  function* entries(): Generator<TableEntry> {
    for (let index = 0; index < table.count; index++) {
      if (!isRecordersOwn(table.valueAt(index))) yield table.entryAt(index);
    }
  }
  using describer = new HandleDescriber();
  return await gather(entries(), sources, async (asked) => {
    // One round of questions for all: those that the helper process answers wait for each other only once.
    const questions = asked.map(({ value, type }) => ({ processId, value, type }));
    const answers = await describer.describe(target, questions);
    const isCertain = ({ value }: TableEntry): boolean => isStillOpen?.(value) !== false;
    return new Map(asked.flatMap((entry, index) => (isCertain(entry) ? [[entry.value, answers[index]!]] : [])));
  });
}

/** Gathers the evidence of a target that has ended: the ledger alone, for the handle table is gone. */
export async function gatherPostMortem(sources: EvidenceSources): Promise<GatheredEvidence> {
  return await gather(listOpen(sources.ledger), sources, async () => new Map());
}

function* listOpen(ledger: CallLedger): Generator<TableEntry> {
  for (const value of ledger.openValues()) {
    const type = ledger.life(value)?.objectType ?? 'Unknown';
    yield entryOf(value, type === 'Socket' ? 'File' : type);
  }
}
