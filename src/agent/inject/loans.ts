import { DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS } from '../../ffi/constants.ts';
import { DuplicateHandle } from '../../ffi/kernel32.ts';
import { type AsHandle, CURRENT_PROCESS, failed, OwnedHandle, unsafeRawHandle } from '../../io/index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { EVENT_MODIFY_STATE, MUTANT_ACCESS } from '../linkage/gate-name.ts';
import type { LentObject } from '../ledger/lent-handles.ts';
import type { AuditorEvents } from './auditor-events.ts';
import type { ExitGate } from './gate/exit-gate.ts';
import { opensByName } from './gate/opens-by-name.ts';

interface Lenders {
  readonly ledger: Ledger;
  readonly events: AuditorEvents;
  readonly gate: ExitGate;
}

/**
 * Puts handles of our objects into a target, with the least access that the agent needs: of the mutant for stops,
 * where threads may be stopped, and of the gate's objects, where the target cannot open these by name. Usually there
 * are none, and the target's handles have the values that they have without an audit.
 *
 * @returns their values there
 * @throws Win32Error when Windows refuses
 */
export function lendHandles(target: AsHandle, { ledger, events, gate }: Lenders): readonly bigint[] {
  const values: bigint[] = [];
  const lend = (object: LentObject, source: AsHandle, access: number): void => {
    const value = duplicateInto(target, source, access);
    values.push(value);
    ledger.lent.note(object, value);
  };
  if (events.stops !== undefined) lend('stops', events.stops, MUTANT_ACCESS);
  if (opensByName(target, events.arrivedName)) return values;
  lend('arrived', events.arrived, EVENT_MODIFY_STATE);
  lend('judged', gate.judged, MUTANT_ACCESS);
  lend('threadsSeen', gate.threadsSeen, MUTANT_ACCESS);
  if (events.child !== undefined) lend('child', events.child, EVENT_MODIFY_STATE);
  return values;
}

/** Closes the handles that {@link lendHandles} gave the target, once no thread can use them any more. */
export function takeHandlesBack(target: AsHandle, ledger: Ledger, values: readonly bigint[]): void {
  // A value that the target has closed has a life of its own.
  for (const value of values) if (ledger.life(value) === undefined) closeIn(target, value);
  ledger.lent.clear();
}

/** @returns the value there */
function duplicateInto(target: AsHandle, source: AsHandle, access: number): bigint {
  const value = new BigUint64Array(1);
  const [from, to] = [source.asHandle().asRawHandle(), target.asHandle().asRawHandle()];
  if (!DuplicateHandle(CURRENT_PROCESS, from, to, value, access, false, 0))
    throw failed('give the target', 'a handle of the exit gate');
  return value[0]!;
}

function closeIn(target: AsHandle, value: bigint): void {
  const from = target.asHandle().asRawHandle();
  const moved = new BigInt64Array(1);
  const options = DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS;
  if (!DuplicateHandle(from, unsafeRawHandle(value), CURRENT_PROCESS, moved, 0, false, options)) return;
  OwnedHandle.fromRawHandle(unsafeRawHandle(moved[0]!))[Symbol.dispose]();
}
