import type { BaselineChanges, Finding } from '../model.ts';
import { exceeds, type KnownFinding, measure, toEntry } from './entries.ts';
import { compareEntries } from './file.ts';

/** A baseline that was made of another one. */
export interface UpdatedBaseline {
  /** In the order of the file. */
  readonly entries: readonly KnownFinding[];
  readonly changes: BaselineChanges;
}

/** How to make a baseline of the findings of a report. */
interface UpdateOptions {
  /** Whether new findings of level note are added; those that the baseline has stay in any case. */
  readonly notes: boolean;
  /** Whether the report saw everything. Otherwise nothing is dropped or lowered: it may only not have been seen. */
  readonly complete: boolean;
}

/** The baseline that accepts the findings as they are, and nothing else. The remarks of its entries stay. */
export function updateBaseline(
  entries: readonly KnownFinding[],
  findings: readonly Finding[],
  { notes, complete }: UpdateOptions,
): UpdatedBaseline {
  const before = new Map(entries.map((entry) => [entry.fingerprint, entry]));
  const after = new Map(complete ? [] : before);
  for (const finding of findings) {
    const { fingerprint, level, status } = finding;
    const known = before.get(fingerprint);
    if (status !== 'new' || (level === 'note' && !notes && known === undefined)) continue;
    after.set(fingerprint, merge(after.get(fingerprint) ?? known, finding, complete && !after.has(fingerprint)));
  }
  return { entries: [...after.values()].sort(compareEntries), changes: countChanges(before, after) };
}

/**
 * The baseline without what is stale: entries without a finding are dropped, and counts are lowered to what was found.
 * It never accepts anything that it did not accept before, so each entry keeps its unit.
 *
 * @param complete as for {@link updateBaseline}
 */
export function pruneBaseline(
  entries: readonly KnownFinding[],
  findings: readonly Finding[],
  complete: boolean,
): UpdatedBaseline {
  const before = new Map(entries.map((entry) => [entry.fingerprint, entry]));
  const after = new Map(complete ? [] : before);
  for (const finding of complete ? findings : []) {
    const { fingerprint, status } = finding;
    const entry = before.get(fingerprint);
    if (status !== 'new' || entry === undefined) continue;
    const lowered = lower(entry, finding);
    const known = after.get(fingerprint);
    if (known === undefined || known.count < lowered.count) after.set(fingerprint, lowered);
  }
  return { entries: [...after.values()].sort(compareEntries), changes: countChanges(before, after) };
}

/** The entry with what was found, if that is less. */
function lower(entry: KnownFinding, finding: Finding): KnownFinding {
  // A site that has grown is still there, and is accepted as far as it was.
  if (exceeds(finding, entry)) return entry;
  // A growth that was not seen in each iteration has no measure: it may be back in the next run.
  return { ...entry, count: measure(finding, entry) ?? entry.count, site: toEntry(finding).site };
}

/** An entry that accepts a finding, made of the one before it. */
function merge(entry: KnownFinding | undefined, finding: Finding, mayLower: boolean): KnownFinding {
  const made = toEntry(finding);
  if (entry === undefined) return made;
  if (!mayLower) return exceeds(finding, entry) ? { ...entry, count: measure(finding, entry)! } : entry;
  // Without marks nothing is known about the growth of a site.
  const amount = entry.perIteration === true && finding.growth === undefined ? { ...entry, site: made.site } : made;
  return entry.remark === undefined ? amount : { ...amount, remark: entry.remark };
}

function countChanges(
  before: ReadonlyMap<string, KnownFinding>,
  after: ReadonlyMap<string, KnownFinding>,
): BaselineChanges {
  const pairs = [...after].map(([fingerprint, entry]) => [before.get(fingerprint), entry] as const);
  const count = (test: (was: KnownFinding, is: KnownFinding) => boolean): number =>
    pairs.filter(([was, is]) => was !== undefined && test(was, is)).length;
  return {
    added: pairs.filter(([was]) => was === undefined).length,
    raised: count((was, is) => isMore(is, was)),
    lowered: count((was, is) => isMore(was, is)),
    dropped: [...before.keys()].filter((fingerprint) => !after.has(fingerprint)).length,
  };
}

/** Handles of a whole run are more than handles of one iteration, whatever their number. */
function isMore(one: KnownFinding, other: KnownFinding): boolean {
  if (one.perIteration !== other.perIteration) return one.perIteration !== true;
  return one.count > other.count;
}
