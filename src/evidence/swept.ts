import type { CallLedger, LedgerSweep } from '../call-ledger.ts';
import type { HandleObject, Stack } from '../model.ts';
import type { OpenSite } from '../evidence-model.ts';
import type { CallReader } from './calls.ts';
import { isClosedByRuntime } from './closed-at-exit.ts';
import { findSiblings, SiteGroup } from './sites.ts';
import { entryOf } from './sources.ts';

type RunningThreads = Pick<OpenSite, 'openers' | 'closers' | 'newest' | 'sections'>;

/**
 * Handles that the program left open, and that a function closed whose business it is to close what is left. The counts
 * at marks stand in the sites that are open, or were: they are not repeated here.
 */
export function listSwept(ledger: CallLedger, calls: CallReader): readonly OpenSite[] {
  return Array.from(ledger.sweeps(), (sweep) => toSite(sweep, ledger, calls)).flatMap((site) => site ?? []);
}

function toSite(sweep: LedgerSweep, ledger: CallLedger, calls: CallReader): OpenSite | undefined {
  const { count, values, life, swept, wrapper } = sweep;
  const { opened, objectType: type } = life;
  if (opened?.call === undefined || swept.call === undefined || values.length === 0) return undefined;
  const { stack } = calls.read(swept);
  if (!isClosedBy(swept.call, stack)) return undefined;
  // The record knows the object that stood for the first handle; it stands for its kind.
  const kind: HandleObject = { type, ...(wrapper && { wrapper: { type: wrapper.type } }) };
  const first: HandleObject = { type, ...(wrapper && { wrapper }) };
  return {
    object: count === 1 ? first : kind,
    count,
    examples: values.map((value, index) => ({
      value,
      object: index === 0 ? first : kind,
      access: 0,
      inheritable: false,
      protectFromClose: false,
    })),
    opened: calls.read(opened),
    ...findSiblings(opened, calls),
    ...listRunningAndSections(sweep, ledger, calls),
    endedCount: 0,
    ...(life.givenToWrongCloser === true ? { givenToWrongCloser: true as const } : {}),
    ...(isClosedByRuntime(stack) ? { closedAtExit: true as const } : { sweptBy: swept.call }),
  };
}

/**
 * The threads that may have been using the handles when they were swept away, and the sections in which they were
 * opened, as far as the handles are known. The record has the life of the first; another value that was given out again
 * tells nothing any more.
 */
function listRunningAndSections({ values, life }: LedgerSweep, ledger: CallLedger, calls: CallReader): RunningThreads {
  const type = life.objectType;
  const [first, ...others] = values;
  const group = new SiteGroup(type, life, entryOf(first!, type), calls, false);
  for (const value of others) {
    const last = ledger.life(value);
    if (last?.isOpen === false && last.opened?.stackId === life.opened?.stackId) group.add(entryOf(value, type), last);
  }
  return { ...group.listRunning(), ...group.sectionsOpened() };
}

/** The function closed the handle by itself: a callback of the program that it calls may close handles too. */
function isClosedBy(name: string, stack: Stack): boolean {
  const sweeper = stack.findIndex(({ system, function: each }) => system === true && each === name);
  return sweeper === -1 || stack.slice(0, sweeper).every(({ system }) => system === true);
}
