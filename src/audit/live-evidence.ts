import type { CallLedger } from '../call-ledger.ts';
import { type GatheredEvidence, gather } from '../evidence/gather.ts';
import { entryOf, type EvidenceSources, type TableEntry } from '../evidence/sources.ts';
import { HandleDescriber } from '../handles/describe.ts';
import { HandleTable } from '../handles/enumerate.ts';
import type { Target } from '../process/target.ts';

/**
 * Gathers the evidence of a target that exists: its kernel handle table, explained by the ledger. The target must not
 * run meanwhile.
 *
 * @throws Win32Error or NtStatusError when its handle table cannot be read
 */
export async function gatherLive(target: Target, sources: EvidenceSources): Promise<GatheredEvidence> {
  const processId = target.pid;
  const table = HandleTable.readProcess(target, processId);
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
    return new Map(asked.map((entry, index) => [entry.value, answers[index]!]));
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
