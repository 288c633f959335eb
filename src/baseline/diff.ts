import type { KnownFinding } from './entries.ts';
import { compareEntries } from './file.ts';

/** An entry that two baselines have with different counts. */
export interface ChangedEntry {
  readonly before: KnownFinding;
  readonly after: KnownFinding;
}

/** The differences between two baselines, each in the order of the file. Remarks and words are none. */
export interface BaselineDiff {
  readonly added: readonly KnownFinding[];
  readonly removed: readonly KnownFinding[];
  readonly changed: readonly ChangedEntry[];
  /** The number of entries that accept the same in both. */
  readonly same: number;
}

/** Compares two baselines by fingerprints and counts. */
export function diffBaselines(before: readonly KnownFinding[], after: readonly KnownFinding[]): BaselineDiff {
  const old = new Map(before.map((entry) => [entry.fingerprint, entry]));
  const now = new Set(after.map(({ fingerprint }) => fingerprint));
  const pairs = after.flatMap((entry) => {
    const was = old.get(entry.fingerprint);
    return was === undefined ? [] : [{ before: was, after: entry }];
  });
  const changed = pairs.filter(
    ({ before: was, after: is }) => was.count !== is.count || was.perIteration !== is.perIteration,
  );
  return {
    added: after.filter(({ fingerprint }) => !old.has(fingerprint)).sort(compareEntries),
    removed: before.filter(({ fingerprint }) => !now.has(fingerprint)).sort(compareEntries),
    changed: changed.sort((a, b) => compareEntries(a.after, b.after)),
    same: pairs.length - changed.length,
  };
}

/** Whether the second baseline accepts something that the first does not. */
export function acceptsMore({ added, changed }: BaselineDiff): boolean {
  return (
    added.length > 0 ||
    changed.some(({ before, after }) => before.perIteration !== after.perIteration || after.count > before.count)
  );
}
