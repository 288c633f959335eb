// `npm run bench:judgement`: what the auditor does of its own while a target waits at its exit, and may grow with what
// was recorded: leaving out refusals within refused functions, half of the records in each other's callers.
import { dropNestedRefusals } from '../dist/evidence/nested-refusals.js';
import { measureByTurns, ratios, runBenchmark, say, spell, spellCount } from './measure.js';

/** @import { LedgerMisuse } from '../dist/call-ledger.js' */

const FEW_SHARE = 8;
const modules = { moduleOf: () => ({ name: 'WS2_32.dll', isSystem: true }) };
const life = { isOpen: false, generation: 0n, objectType: 'Socket', opened: undefined, closed: undefined };

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 11, smoke: 1 }, records: { full: 4096, smoke: 64 } },
  programs: () => [],
  async inWindows({ rounds, records }) {
    const count = records / FEW_SHARE;
    const { few, many } = await measureByTurns(rounds, {
      few: () => timeRecords(count),
      many: () => timeRecords(records),
    });
    say(`${spellCount(count)} refusals: ${spell(few, 2)} ms`);
    say(`${spellCount(records)} refusals: ${spell(many, 2)} ms, ratio ${spell(ratios(many, few), 2)}`);
  },
});

/**
 * @param {number} count
 * @returns {number} milliseconds
 */
function timeRecords(count) {
  const half = count / 2;
  /** @param {number} index */
  const caller = (index) =>
    Array.from({ length: 12 }, (_, depth) => BigInt(depth < 6 ? depth + 1 : index * 16 + depth));
  const stacks = Array.from({ length: count }, (_, index) =>
    index < half ? caller(index) : [0x7001n, 0x7002n, ...caller(index - half)],
  );
  const misuses = stacks.map((_, index) => recordOf(index, index < half));
  const ledger = { stack: (/** @type {number} */ id) => stacks[id] ?? [] };
  const began = process.hrtime.bigint();
  const left = dropNestedRefusals(ledger, misuses, modules);
  const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
  if (left.length !== half) throw new Error(`${left.length} of ${count} refusals are left, and not ${half}`);
  return tookMs;
}

/**
 * @param {number} stackId
 * @param {boolean} byFunction
 * @returns {LedgerMisuse}
 */
function recordOf(stackId, byFunction) {
  const offending = { call: byFunction ? 'setsockopt' : 'NtDeviceIoControlFile', threadId: 1, time: 0n, stackId };
  return {
    kind: 'use',
    status: 0xc000_0008,
    count: 1,
    values: [0x44n],
    offending,
    worksOn: [],
    life,
    ...(byFunction && { functionOf: 'ws2_32.dll' }),
  };
}
