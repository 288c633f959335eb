import { gather } from '../../../src/evidence/gather.ts';
import type { CountsAtMarks, Description, OtherProcesses, TableEntry } from '../../../src/evidence/sources.ts';
import { plainSymbols, type Told, ToldLedger } from './told-ledger.ts';

export const entry = (value: number, type = 'Event'): TableEntry => ({
  value: BigInt(value),
  type,
  access: 0x1f_0003,
  inheritable: false,
  protectFromClose: false,
});

interface Live {
  readonly table?: readonly TableEntry[];
  readonly descriptions?: Readonly<Record<number, Description>>;
  readonly markCounts?: CountsAtMarks;
  readonly others?: OtherProcesses;
}

/** Gathers the evidence from a ledger and a table; notes which values were asked about. */
export async function gatherFrom(told: Told, { table = [], descriptions = {}, markCounts, others }: Live = {}) {
  const asked: bigint[] = [];
  const sources = {
    ledger: new ToldLedger(told),
    symbols: plainSymbols,
    startTime: 0n,
    hasWindows: told.hasWindows ?? false,
    ...(markCounts && { markCounts }),
    ...(others && { others }),
  };
  const gathered = await gather(table, sources, async (entries) => {
    asked.push(...entries.map(({ value }) => value));
    return new Map(
      entries.flatMap(({ value }) => {
        const description = descriptions[Number(value)];
        return description === undefined ? [] : [[value, description] as const];
      }),
    );
  });
  return { ...gathered, ...gathered.evidence, asked };
}

export const stacks = { 1: [0x10n, 0x20n], 2: [0x11n, 0x20n], 3: [0x12n, 0x20n] };
