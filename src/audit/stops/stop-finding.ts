import type { LedgerMisuse } from '../../call-ledger.ts';
import { matches } from '../../analyze/suppressions.ts';
import type { Evidence, Misuse } from '../../evidence-model.ts';
import type { Finding, Stack } from '../../model.ts';
import type { Rule } from '../../rules.ts';
import type { Examination } from '../examination.ts';
import type { Verdict } from '../tree/member.ts';
import type { StopOrder } from './stop-orders.ts';

/** The rules about uses; all others are about closes. */
const rulesOfUses: readonly Rule[] = ['use-after-close', 'stale-use', 'invalid-use', 'wrong-type'];

/** Whether the finding of a misuse may be one of an order's: without it, no thread has to wait for the finding. */
export function mayBeOf({ rule }: StopOrder, { kind }: LedgerMisuse): boolean {
  return rule !== 'leak' && rulesOfUses.includes(rule) === (kind === 'use');
}

/** Applies the rules and the suppressions to evidence. */
export type Judge = (evidence: Evidence) => Verdict;

/**
 * The finding that a report would have of one misuse, as far as is known by now; `undefined` where there is none, or it
 * is a note, or suppressed.
 */
export async function findMisuse(
  examination: Examination,
  recorded: LedgerMisuse,
  judge: Judge,
): Promise<Finding | undefined> {
  const evidence = await examination.evidenceSoFar();
  const timeMs = examination.timeMsOf(recorded.offending.time);
  const isIt = ({ kind, status, offending, values }: Misuse): boolean =>
    kind === recorded.kind &&
    status === recorded.status &&
    offending.threadId === recorded.offending.threadId &&
    offending.timeMs === timeMs &&
    values[0] === recorded.values[0];
  const misuses = evidence.misuses.filter(isIt);
  if (misuses.length === 0) return undefined;
  return listOfInterest(judge({ ...evidence, open: [], misuses }))[0];
}

/** The leak that a report would have of the openings of an order, if the program ended now. */
export async function findLeak(examination: Examination, order: StopOrder, judge: Judge): Promise<Finding | undefined> {
  const evidence = await examination.evidenceSoFar();
  const leaks = listOfInterest(judge({ ...evidence, misuses: [] })).filter((finding) => isOf(order, finding));
  return leaks.toSorted((one, other) => other.count - one.count)[0];
}

/** Whether an order is about a finding. */
export function isOf({ rule, site }: StopOrder, finding: Parameters<typeof matches>[1]): boolean {
  return rule === finding.rule && (site === undefined || matches(site, finding));
}

/** Whether an order for a leak is about the handles of a type that a stack opens. */
export function countsOpenings(order: StopOrder, opened: Stack, type: string): boolean {
  return isOf(order, { rule: 'leak', object: { type }, stacks: { opened }, fingerprint: '' });
}

function listOfInterest({ findings }: Verdict): readonly Finding[] {
  return findings.filter(({ status, level }) => status === 'new' && level !== 'note');
}
