import { describe, expect, it } from 'vitest';

import { compareWithBaseline } from '../../../src/baseline/compare.ts';
import { type KnownFinding, toEntry } from '../../../src/baseline/entries.ts';
import type { Finding } from '../../../src/model.ts';
import { analyze } from '../../../src/analyze/index.ts';
import { called, mainBottom, misuse, openSite } from '../analyze/evidence.ts';
import { leakOf, randomEntries, randomFindings, tries } from './made-up.ts';

const one = leakOf('one', 2);
const other = leakOf('other', 1);
const accepting = (finding: Finding, parts: Partial<KnownFinding> = {}): KnownFinding => ({
  ...toEntry(finding),
  ...parts,
});
const statusOf = (finding: Finding, ...entries: readonly KnownFinding[]): string =>
  compareWithBaseline([finding], entries).findings[0]!.status;

describe('a finding', () => {
  it('that the baseline has is known', () => {
    const { findings, stale } = compareWithBaseline([one, other], [accepting(one)]);
    expect(findings).toEqual([{ ...one, status: 'known', baseline: { count: 2 } }, other]);
    expect(stale).toEqual([]);
  });

  it('is new when another one has vanished instead', () => {
    const { findings, stale } = compareWithBaseline([one], [accepting(other)]);
    expect(findings).toEqual([one]);
    expect(stale).toEqual([
      { rule: 'leak', fingerprint: other.fingerprint, count: 1, site: toEntry(other).site, found: 0 },
    ]);
  });

  it('that has grown is new as a whole, and says by how much', () => {
    const { findings, stale } = compareWithBaseline([leakOf('one', 5)], [accepting(one)]);
    expect(findings[0]).toMatchObject({ status: 'new', count: 5, baseline: { count: 2 } });
    expect(findings[0]!.message).toMatch(/\. The baseline accepts 2 handles of this site, and there are 5\.$/);
    expect(stale).toEqual([]);
  });

  it('that was called more often counts calls', () => {
    const offending = called('NtClose', 'kernelbase!CloseHandle', 'app!finish @main.c:44', ...mainBottom);
    const find = (count: number): Finding => analyze({ open: [], misuses: [misuse({ offending, count })] })[0]!;
    const { findings } = compareWithBaseline([find(3)], [accepting(find(1))]);
    expect(findings[0]!.message).toMatch(/The baseline accepts 1 call of this site, and there are 3\.$/);
  });

  it('that has shrunk is known, and its entry is stale', () => {
    const { findings, stale } = compareWithBaseline([one], [accepting(one, { count: 9 })]);
    expect(findings[0]!.status).toBe('known');
    expect(stale).toMatchObject([{ count: 9, found: 2 }]);
  });

  it('that is suppressed stays so, and its entry is stale', () => {
    const suppressed: Finding = { ...one, status: 'suppressed' };
    const { findings, stale } = compareWithBaseline([suppressed], [accepting(one)]);
    expect(findings).toEqual([suppressed]);
    expect(stale).toMatchObject([{ fingerprint: one.fingerprint, found: 0 }]);
  });

  it('of another rule or level with the same fingerprint is the same finding', () => {
    expect(statusOf({ ...one, level: 'error' }, accepting(one))).toBe('known');
    expect(statusOf({ ...one, level: 'note' }, accepting(one))).toBe('known');
  });

  it('is compared by its fingerprint, not by the words of the entry', () => {
    expect(statusOf(one, accepting(one, { site: 'File: of another name' }))).toBe('known');
    expect(statusOf(one, { ...accepting(one), fingerprint: '0123456789abcdef' })).toBe('new');
  });
});

describe('several runs', () => {
  it('count as the one with the most', () => {
    const repeated: Finding = { ...one, count: 2, runs: [2, 0, 7] };
    expect(toEntry(repeated).count).toBe(7);
    expect(statusOf(repeated, accepting(one, { count: 6 }))).toBe('new');
    expect(statusOf(repeated, accepting(one, { count: 7 }))).toBe('known');
  });
});

describe('a site that grows with every iteration', () => {
  const growing = (perIteration: number, iterations: number): Finding => ({
    ...one,
    count: Math.round(perIteration * iterations),
    growth: { iterations, grewIn: iterations, handlesPerIteration: perIteration },
  });

  it('is measured by its growth, whatever the number of iterations', () => {
    const entry = toEntry(growing(2, 10));
    expect(entry).toMatchObject({ count: 2, perIteration: true });
    expect(statusOf(growing(2, 1000), entry)).toBe('known');
    const { findings } = compareWithBaseline([growing(3, 5)], [entry]);
    expect(findings[0]).toMatchObject({ status: 'new', baseline: { count: 2, perIteration: true } });
    expect(findings[0]!.message).toMatch(
      /The baseline accepts 2 handles in each iteration of this site, and there are 3\.$/,
    );
  });

  it('is measured in whole handles', () => {
    expect(toEntry(growing(2.1, 10)).count).toBe(3);
    expect(statusOf(growing(2.9, 10), toEntry(growing(2.1, 10)))).toBe('known');
    expect(toEntry(growing(0.2, 10)).count).toBe(1);
  });

  it('is known in a run without marks', () => {
    const { findings, stale } = compareWithBaseline([{ ...one, count: 500 }], [toEntry(growing(2, 10))]);
    expect(findings[0]!.status).toBe('known');
    expect(stale).toEqual([]);
  });

  it('is measured by its count where the baseline has that', () => {
    expect(statusOf(growing(2, 10), accepting(one, { count: 20 }))).toBe('known');
    expect(statusOf(growing(2, 11), accepting(one, { count: 20 }))).toBe('new');
  });

  it('is none when it did not grow in each of them', () => {
    const cache: Finding = { ...one, growth: { iterations: 10, grewIn: 9, handlesPerIteration: 1.4 } };
    expect(toEntry(cache)).toEqual(toEntry(one));
  });
});

describe('the words of an entry', () => {
  it('are the type, the function of Windows, and the program’s functions without lines', () => {
    const opened = called(
      'NtCreateFile',
      'kernelbase!CreateFileW',
      'app!open_log @C:\\src\\log.c:4',
      'app!rotate @C:\\src\\log.c:30',
      'app!run @main.c:9',
      ...mainBottom,
    );
    const [finding] = analyze({ open: [openSite({ opened, object: { type: 'File' } })], misuses: [] });
    expect(toEntry(finding!).site).toBe('File: CreateFile < app.exe!open_log < app.exe!rotate < app.exe!run');
  });

  it('are the same after lines have moved, and so is the fingerprint', () => {
    const find = (line: number, offset: string): Finding => {
      const opened = called(
        'NtCreateEvent',
        `kernelbase!CreateEventW+${offset}`,
        `app!open+${offset} @D:\\other\\a.c:${line}`,
        ...mainBottom,
      );
      return analyze({ open: [openSite({ opened })], misuses: [] })[0]!;
    };
    expect(toEntry(find(4, '0x10'))).toEqual(toEntry(find(400, '0x7a')));
    expect(statusOf(find(400, '0x7a'), toEntry(find(4, '0x10')))).toBe('known');
  });

  it('are short, however long a name is', () => {
    const long = leakOf('x'.repeat(5000));
    expect(toEntry(long).site.length).toBeLessThan(450);
  });

  it('say so where there is no stack', () => {
    expect(toEntry({ ...one, stacks: {} }).site).toBe('Event: unknown');
  });
});

describe('any comparison', () => {
  it('changes nothing but statuses, messages and the amounts that are known', () => {
    for (const random of tries(300)) {
      const findings = randomFindings(random);
      const compared = compareWithBaseline(findings, randomEntries(random)).findings;
      expect(compared.map(({ baseline: _, ...rest }) => ({ ...rest, status: '', message: '' }))).toEqual(
        findings.map((finding) => ({ ...finding, status: '', message: '' })),
      );
    }
  });

  it('with nothing leaves all as it is', () => {
    for (const random of tries(50)) {
      const findings = randomFindings(random);
      expect(compareWithBaseline(findings, [])).toEqual({ findings, stale: [] });
    }
  });

  it('accepts no more with a smaller baseline', () => {
    for (const random of tries(300)) {
      const findings = randomFindings(random);
      const entries = randomEntries(random);
      const known = (some: readonly KnownFinding[]): number =>
        compareWithBaseline(findings, some).findings.filter(({ status }) => status === 'known').length;
      expect(known(entries.slice(random(entries.length + 1)))).toBeLessThanOrEqual(known(entries));
    }
  });
});
