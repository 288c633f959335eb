import type { AsHandle } from '../../io/index.ts';
import { queryMemory, tryReadMemory } from '../../process/memory.ts';
import { EARLIER_LIVES_SLOT_COUNT, MAX_HISTORY } from '../ledger/earlier-life.ts';
import { header, LEDGER_MAGIC, type LedgerLayout, ledgerLayout } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { viewCopies } from '../ledger/memory.ts';
import { loadCode } from '../link/load-code.ts';
import type { AgentVariant } from '../linkage/agent-code.ts';
import { locateStubs } from './locate/locate-hooks.ts';
import { LeftAgents, listJumps } from './left-agents.ts';

const SLOT_COUNT_MAX = 1 << 24;
/** Those that an audit uses, the usual one first. */
const VARIANTS: readonly AgentVariant[] = [false, true].flatMap((stops) =>
  [false, true].map((quarantine) => ({ quarantine, checked: false, stops })),
);

/**
 * The ledger of a process that another auditor records right now, for reading alone. Everything is read from the
 * process's memory, which goes on changing: nothing is written, and no thread is stopped.
 *
 * @param process opened with PROCESS_QUERY_INFORMATION and PROCESS_VM_READ
 * @returns `undefined` where there is no agent at work, or one of another version
 * @throws Win32Error when its code cannot be read
 */
export async function openLiveLedger(process: AsHandle): Promise<Ledger | undefined> {
  const jumps = listJumps(process, locateStubs());
  for (const variant of VARIANTS) {
    const code = await loadCode(variant);
    const agent = LeftAgents.find(process, code, { jumps, places: [], isOfUse: ({ isQuiet }) => !isQuiet }).reusable;
    if (agent === undefined) continue;
    const layout = readLayout(process, agent.ledger);
    if (layout === undefined || layout.sizeBytes !== agent.ledgerSizeBytes) continue;
    const ledger = new Ledger((offset, sizeBytes) => copyPart(process, agent.ledger, offset, sizeBytes), layout);
    ledger.hideAgent(agent.base, code.bytes.length);
    return ledger;
  }
  return undefined;
}

/** The layout that a header names; `undefined` where it names none that a ledger can have. */
function readLayout(process: AsHandle, address: bigint): LedgerLayout | undefined {
  const head = tryReadMemory(process, address, header.walkers);
  if (head?.readBigUInt64LE(header.magic) !== LEDGER_MAGIC) return undefined;
  const slotCount = head.readBigUInt64LE(header.slotCount);
  const quarantineCount = head.readUInt32LE(header.quarantineCount);
  const history = head.readUInt32LE(header.history);
  const isPossible =
    slotCount <= BigInt(SLOT_COUNT_MAX) &&
    quarantineCount <= EARLIER_LIVES_SLOT_COUNT &&
    history >= 1 &&
    history <= MAX_HISTORY &&
    Number.isInteger(Math.log2(history));
  return isPossible ? ledgerLayout(Number(slotCount), quarantineCount, history) : undefined;
}

/** A copy of a part of the ledger; what has no memory yet is 0. */
function copyPart(process: AsHandle, ledger: bigint, offset: number, sizeBytes: number): DataView {
  const begin = ledger + BigInt(offset);
  const end = begin + BigInt(sizeBytes);
  const copies: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  for (let at = begin; at < end; ) {
    const region = queryMemory(process, at);
    if (region === undefined || region.end <= at) break;
    const next = region.end < end ? region.end : end;
    const bytes = region.isCommitted ? tryReadMemory(process, at, Number(next - at)) : undefined;
    if (bytes !== undefined) copies.push({ offset: Number(at - ledger), bytes });
    at = next;
  }
  return viewCopies(copies, offset, sizeBytes);
}
