import type { CallLedger, LedgerCall } from '../call-ledger.ts';

/** More stacks than a report of any use has. */
const STACKS_MAX = 65_536;

/**
 * Ids of the stacks that evidence of a ledger may need, each once: of what is open, of the closes of siblings, and of
 * misuses. It may leave some out.
 */
export function listStackIds(ledger: CallLedger): Iterable<number> {
  const ids = new Set<number>();
  for (const id of findStackIds(ledger)) {
    if (id !== 0) ids.add(id);
    if (ids.size === STACKS_MAX) break;
  }
  return ids;
}

function* findStackIds(ledger: CallLedger): Generator<number> {
  const exit = ledger.exit();
  if (exit !== undefined) yield exit.stackId;
  for (const value of ledger.openValues()) yield* opening(ledger, ledger.life(value)?.opened);
  for (const { life } of ledger.openObjects()) yield* opening(ledger, life.opened);
  for (const { offending, life, victim, earlierLives = [] } of ledger.misuses()) {
    yield offending.stackId;
    yield* opening(ledger, life.opened);
    if (life.closed !== undefined) yield life.closed.stackId;
    if (victim !== undefined) yield victim.stackId;
    for (const { opened, closed } of earlierLives) yield* [opened?.stackId ?? 0, closed?.stackId ?? 0];
  }
  for (const { life, started } of ledger.inheritances()) yield* [started.stackId, life.opened?.stackId ?? 0];
  for (const { life, swept } of ledger.sweeps()) yield* [swept.stackId, life.opened?.stackId ?? 0];
}

/** The stack of an opening, and the one that closed a sibling. */
function opening(ledger: CallLedger, opened: LedgerCall | undefined): readonly number[] {
  return opened === undefined ? [] : [opened.stackId, ledger.closedBy(opened.stackId)];
}
