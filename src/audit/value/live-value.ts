import { openLiveLedger } from '../../agent/inject/live-ledger.ts';
import { PROCESS_QUERY_INFORMATION, PROCESS_VM_READ } from '../../ffi/constants.ts';
import { listModules } from '../../process/modules.ts';
import { openProcess, type ProcessInfo, readImagePath } from '../../process/processes.ts';
import { UserError } from '../../user-error.ts';
import { AuditClaim } from '../audit-claim.ts';
import { listValueEvents } from './value-events.ts';
import { type ShownEvent, ValueSymbols } from './value-symbols.ts';

/** The calls that another auditor has on record of a handle value, or why they cannot be read. */
export type LiveValue = { readonly events: readonly ShownEvent[] } | { readonly problem: string };

/** The recorder has slots for values up to this one by default, and for more only where it was asked for them. */
const VALUE_MAX = 4n << 21n;

/**
 * The life of a handle value in a process that another auditor records right now. Neither of the two notices: the
 * process's memory is read, and nothing else is done.
 *
 * @param label the process's name in errors, escaped by the caller
 * @returns `undefined` when no auditor records the process
 */
export async function readLiveValue(info: ProcessInfo, value: bigint, label: string): Promise<LiveValue | undefined> {
  if (!AuditClaim.isTaken(info.processId)) return undefined;
  try {
    using process = openProcess(info.processId, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, label);
    const ledger = await openLiveLedger(process);
    if (ledger === undefined) return { problem: 'another version of the tool records it, or has just begun or ended' };
    ledger.check();
    if (value < 0n || value >= VALUE_MAX) return { events: [] };
    const image = readImagePath(process.asRawHandle()) ?? info.name;
    using symbols = new ValueSymbols({ image, modules: () => listModules(process) }, ledger);
    return { events: listValueEvents(ledger, value).map((event) => symbols.show(event)) };
  } catch (error) {
    if (error instanceof UserError) return { problem: error.message };
    throw error;
  }
}
