import { describe, expect, it } from 'vitest';

import { compareWithBaseline } from '../../../src/baseline/compare.ts';
import { acceptsMore, diffBaselines } from '../../../src/baseline/diff.ts';
import { type KnownFinding, toEntry } from '../../../src/baseline/entries.ts';
import { compareEntries } from '../../../src/baseline/file.ts';
import { pruneBaseline, updateBaseline } from '../../../src/baseline/update.ts';
import type { Finding } from '../../../src/model.ts';
import { leakOf, randomEntries, randomFindings, tries } from './made-up.ts';

const one = leakOf('one', 2);
const other = leakOf('other', 1);
const note = leakOf('note', 1, { level: 'note' });
const whole = { notes: false, complete: true };
const partial = { notes: false, complete: false };
const entryOf = (finding: Finding, parts: Partial<KnownFinding> = {}): KnownFinding => ({
  ...toEntry(finding),
  ...parts,
});
const sorted = (...entries: readonly KnownFinding[]): readonly KnownFinding[] => entries.toSorted(compareEntries);
const none = { added: 0, raised: 0, lowered: 0, dropped: 0 };

describe('an update', () => {
  it('takes in what is new, and drops what is gone', () => {
    const { entries, changes } = updateBaseline([entryOf(one)], [other], whole);
    expect(entries).toEqual([entryOf(other)]);
    expect(changes).toEqual({ ...none, added: 1, dropped: 1 });
  });

  it('raises and lowers counts, and keeps remarks', () => {
    const before = [entryOf(one, { count: 1, remark: 'issue 1' }), entryOf(other, { count: 9, remark: 'issue 2' })];
    const { entries, changes } = updateBaseline(before, [one, other], whole);
    expect(entries).toEqual(sorted(entryOf(one, { remark: 'issue 1' }), entryOf(other, { remark: 'issue 2' })));
    expect(changes).toEqual({ ...none, raised: 1, lowered: 1 });
  });

  it('takes in notes only when asked to, and keeps those that are there', () => {
    expect(updateBaseline([], [note], whole).entries).toEqual([]);
    expect(updateBaseline([], [note], { ...whole, notes: true }).entries).toEqual([entryOf(note)]);
    expect(updateBaseline([entryOf(note)], [note], whole).entries).toEqual([entryOf(note)]);
  });

  it('takes in nothing that is suppressed', () => {
    expect(updateBaseline([entryOf(one)], [{ ...one, status: 'suppressed' }], whole).entries).toEqual([]);
  });

  it('by a report that is incomplete drops and lowers nothing', () => {
    const before = [entryOf(one, { count: 9 }), entryOf(note)];
    const { entries, changes } = updateBaseline(before, [one, other], partial);
    expect(entries).toEqual(sorted(...before, entryOf(other)));
    expect(changes).toEqual({ ...none, added: 1 });
  });

  it('without marks keeps what is known of a growth in each iteration', () => {
    const before = [entryOf(one, { count: 3, perIteration: true })];
    expect(updateBaseline(before, [one], whole)).toEqual({ entries: before, changes: none });
  });

  it('makes everything known that fails a build, and nothing stale', () => {
    for (const random of tries(500)) {
      const before = randomEntries(random);
      const findings = randomFindings(random);
      const options = { notes: random(2) === 0, complete: true };
      const { entries } = updateBaseline(before, findings, options);
      const compared = compareWithBaseline(findings, entries);
      const open = compared.findings.filter(({ status }) => status === 'new');
      expect(open.filter(({ level }) => options.notes || level !== 'note')).toEqual([]);
      expect(compared.stale).toEqual([]);
      expect(updateBaseline(entries, findings, options)).toEqual({ entries, changes: none });
    }
  });

  it('by an incomplete report makes the same known, and accepts all that was accepted', () => {
    for (const random of tries(500)) {
      const before = randomEntries(random);
      const findings = randomFindings(random);
      const { entries, changes } = updateBaseline(before, findings, partial);
      const open = compareWithBaseline(findings, entries).findings.filter(({ status }) => status === 'new');
      expect(open.filter(({ level }) => level !== 'note')).toEqual([]);
      expect(changes).toMatchObject({ lowered: 0, dropped: 0 });
    }
  });

  it('counts what it changes', () => {
    for (const random of tries(300)) {
      const before = randomEntries(random);
      const { entries, changes } = updateBaseline(before, randomFindings(random), whole);
      const { added, removed, changed } = diffBaselines(before, entries);
      expect([changes.added, changes.dropped, changes.raised + changes.lowered]).toEqual([
        added.length,
        removed.length,
        changed.length,
      ]);
    }
  });
});

describe('a pruning', () => {
  it('drops what is gone, lowers what has shrunk, and adds nothing', () => {
    const before = [entryOf(one, { count: 9 }), entryOf(note)];
    const { entries, changes } = pruneBaseline(before, [one, other], true);
    expect(entries).toEqual([entryOf(one)]);
    expect(changes).toEqual({ ...none, lowered: 1, dropped: 1 });
  });

  it('leaves an entry as it is whose site has grown', () => {
    const before = [entryOf(one, { count: 1 })];
    expect(pruneBaseline(before, [one], true)).toEqual({ entries: before, changes: none });
  });

  const growth = (grewIn: number, handlesPerIteration: number): Partial<Finding> => ({
    growth: { iterations: 100, grewIn, handlesPerIteration },
  });
  it.each<[title: string, entry: Partial<KnownFinding>, found: Finding, after: Partial<KnownFinding>]>([
    [
      'an amount in each iteration where the site grew in nearly all of them',
      { count: 3, perIteration: true },
      leakOf('one', 50, growth(99, 2)),
      { count: 3, perIteration: true },
    ],
    [
      'an amount in each iteration where there were no marks',
      { count: 3, perIteration: true },
      leakOf('one', 50),
      { count: 3, perIteration: true },
    ],
    [
      'the unit of an amount in each iteration, which it lowers',
      { count: 3, perIteration: true },
      leakOf('one', 200, growth(100, 2)),
      { count: 2, perIteration: true },
    ],
    [
      'the unit of an amount of a whole run, which it lowers, where the site grows in each iteration',
      { count: 300 },
      leakOf('one', 200, growth(100, 2)),
      { count: 200 },
    ],
    [
      'an amount of a whole run where there is more',
      { count: 100 },
      leakOf('one', 200, growth(100, 2)),
      { count: 100 },
    ],
  ])('keeps %s', (_, entry, found, after) => {
    const { perIteration: _unit, ...plain } = entryOf(found);
    const [before, expected] = [entry, after].map((amount) => ({ ...plain, remark: 'issue 1', ...amount }));
    const { entries, changes } = pruneBaseline([before!], [found], true);
    expect(entries).toEqual([expected]);
    expect(changes).toEqual({ ...none, lowered: entry.count === after.count ? 0 : 1 });
  });

  it('raises nothing, changes no unit, and so refuses the next day what it would have refused', () => {
    for (const random of tries(500)) {
      const before = randomEntries(random);
      const { entries, changes } = pruneBaseline(before, randomFindings(random), random(4) > 0);
      expect(changes).toMatchObject({ added: 0, raised: 0 });
      const units = new Map(before.map(({ fingerprint, perIteration }) => [fingerprint, perIteration]));
      for (const { fingerprint, perIteration } of entries) expect(perIteration).toBe(units.get(fingerprint));
      const newIn = (some: readonly KnownFinding[], next: readonly Finding[]): readonly string[] =>
        compareWithBaseline(next, some)
          .findings.filter(({ status }) => status === 'new')
          .map(({ fingerprint }) => fingerprint);
      const next = randomFindings(random);
      expect(newIn(entries, next)).toEqual(expect.arrayContaining([...newIn(before, next)]));
    }
  });

  it('by a report that is incomplete changes nothing', () => {
    const before = sorted(entryOf(one, { count: 9 }), entryOf(other));
    expect(pruneBaseline(before, [one], false)).toEqual({ entries: before, changes: none });
  });

  it('changes no verdict, and leaves nothing stale', () => {
    for (const random of tries(500)) {
      const before = randomEntries(random);
      const findings = randomFindings(random);
      const { entries, changes } = pruneBaseline(before, findings, true);
      const statuses = (some: readonly KnownFinding[]): readonly string[] =>
        compareWithBaseline(findings, some).findings.map(({ status }) => status);
      expect(statuses(entries)).toEqual(statuses(before));
      expect(compareWithBaseline(findings, entries).stale).toEqual([]);
      expect(changes.added).toBe(0);
    }
  });
});

describe('a diff', () => {
  it('says which entries came, went and changed their count', () => {
    const third = leakOf('third', 4);
    const diff = diffBaselines(
      [entryOf(one), entryOf(other), entryOf(third)],
      [entryOf(note), entryOf(other), entryOf(third, { count: 5, remark: 'grown' })],
    );
    expect(diff).toEqual({
      added: [entryOf(note)],
      removed: [entryOf(one)],
      changed: [{ before: entryOf(third), after: entryOf(third, { count: 5, remark: 'grown' }) }],
      same: 1,
    });
  });

  it('of a baseline with itself, in whatever order, has nothing', () => {
    for (const random of tries(200)) {
      const entries = randomEntries(random);
      const diff = diffBaselines(entries, entries.toReversed());
      expect(diff).toEqual({ added: [], removed: [], changed: [], same: entries.length });
      expect(acceptsMore(diff)).toBe(false);
    }
  });

  it('the other way round has the opposite', () => {
    for (const random of tries(200)) {
      const [a, b] = [randomEntries(random), randomEntries(random)];
      const [there, back] = [diffBaselines(a, b), diffBaselines(b, a)];
      expect([back.added, back.removed, back.same]).toEqual([there.removed, there.added, there.same]);
      expect(back.changed.map(({ before, after }) => ({ before: after, after: before }))).toEqual(there.changed);
      expect(acceptsMore(there) || acceptsMore(back)).toBe(
        there.added.length + there.removed.length + there.changed.length > 0,
      );
    }
  });

  it('heeds no remarks and no words', () => {
    expect(diffBaselines([entryOf(one)], [entryOf(one, { remark: 'x', site: 'y' })]).same).toBe(1);
  });

  it.each([
    ['a new entry', [], [entryOf(one)], true],
    ['a larger count', [entryOf(one)], [entryOf(one, { count: 3 })], true],
    ['a smaller count', [entryOf(one)], [entryOf(one, { count: 1 })], false],
    ['another unit', [entryOf(one)], [entryOf(one, { count: 1, perIteration: true as const })], true],
    ['an entry less', [entryOf(one)], [], false],
  ])('of %s says whether more is accepted', (_, before, after, expected) => {
    expect(acceptsMore(diffBaselines(before, after))).toBe(expected);
  });
});
