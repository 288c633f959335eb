import { rules } from '../rules.ts';
import type { Finding, KnownAmount, StaleEntry } from '../model.ts';
import { exceeds, type KnownFinding, measure } from './entries.ts';

/** Findings beside a baseline. */
interface Comparison {
  /** The same findings, in their order; those that the baseline accepts are `known`. */
  readonly findings: readonly Finding[];
  /** Entries that accept more than was found. */
  readonly stale: readonly StaleEntry[];
}

/**
 * Compares findings with a baseline, by their fingerprints.
 *
 * A finding that the baseline has is `known`, unless there is more of it than the entry accepts. Then it is new as a
 * whole: the handles of one site look the same, so none of them can be called the old ones. That others have vanished
 * makes up for nothing. A suppressed finding needs no baseline, and an entry for it is stale.
 */
export function compareWithBaseline(findings: readonly Finding[], entries: readonly KnownFinding[]): Comparison {
  const byFingerprint = new Map(entries.map((entry) => [entry.fingerprint, entry]));
  const open = findings.filter(({ status }) => status === 'new');
  const found = new Map<string, number>();
  for (const finding of open) {
    const entry = byFingerprint.get(finding.fingerprint);
    if (entry === undefined) continue;
    // Without a measure the site was found, and that is all that is known.
    const amount = measure(finding, entry) ?? entry.count;
    found.set(finding.fingerprint, Math.max(amount, found.get(finding.fingerprint) ?? 0));
  }
  return {
    findings: findings.map((finding) => {
      const entry = byFingerprint.get(finding.fingerprint);
      return entry === undefined || finding.status !== 'new' ? finding : judge(finding, entry);
    }),
    stale: entries.flatMap(({ rule, fingerprint, count, perIteration, site }) => {
      const seen = found.get(fingerprint) ?? 0;
      const unit = perIteration === true ? { perIteration } : {};
      return seen < count ? [{ rule, fingerprint, count, ...unit, site, found: seen }] : [];
    }),
  };
}

function judge(finding: Finding, entry: KnownFinding): Finding {
  const { count, perIteration } = entry;
  const baseline: KnownAmount = perIteration === true ? { count, perIteration } : { count };
  if (!exceeds(finding, entry)) return { ...finding, status: 'known', baseline };
  const amount = measure(finding, entry)!;
  return { ...finding, baseline, message: `${finding.message} ${spellGrowth(finding, baseline, amount)}` };
}

/** `The baseline accepts 2 handles of this site, and there are 5.` */
function spellGrowth({ rule }: Finding, { count, perIteration }: KnownAmount, amount: number): string {
  const unit = rules[rule].counts === 'handles' ? 'handle' : 'call';
  const accepted = `${count} ${unit}${count === 1 ? '' : 's'}${perIteration === true ? ' in each iteration' : ''}`;
  return `The baseline accepts ${accepted} of this site, and there are ${amount}.`;
}
