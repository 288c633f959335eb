import { describe, expect, it } from 'vitest';

import type { BaselineUse, Finding, Report } from '../../../src/model.ts';
import { json } from '../../../src/report/formats/json.ts';
import { table } from '../../../src/report/formats/table.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import { randomNumbers, makeHostile } from './hostile.ts';
import { clean, sample } from './sample.ts';

const [worst, second] = sample.findings as readonly [Finding, Finding];
const stale = { rule: 'leak', fingerprint: '0123456789abcdef', site: 'File: CreateFile < app.exe!old' } as const;
const baseline: BaselineUse = {
  file: 'unclosed.baseline',
  entries: 7,
  stale: [
    { ...stale, count: 2, found: 0 },
    { ...stale, fingerprint: 'fedcba9876543210', count: 9, found: 4 },
  ],
};

const plain: ReportOptions = { colorLevel: 0, columns: 80 };
const draw = (report: Report, options: Partial<ReportOptions> = {}): string => table(report, { ...plain, ...options });

describe('the table', () => {
  it('lists the entries that nothing was found of, and counts those that accept too much', () => {
    expect(draw({ ...clean, baseline })).toContain(
      [
        'Baseline unclosed.baseline: 7 known findings.',
        '1 entry accepts more than was found (--prune-baseline lowers it).',
        'Stale entries, which nothing was found of (--prune-baseline drops them):',
        '  • leak 0123456789abcdef  File: CreateFile < app.exe!old',
        '',
      ].join('\n'),
    );
  });

  it('calls no entry stale in a report that is incomplete', () => {
    const text = draw({ ...sample, baseline });
    expect(text).toContain('Entries that nothing was found of, in a report that is incomplete:');
    expect(text).not.toContain('Stale');
  });

  it('says nothing of a baseline where there is none, and one line where nothing is stale', () => {
    expect(draw(clean)).not.toMatch(/baseline/i);
    const text = draw({ ...clean, baseline: { ...baseline, stale: [] } });
    expect(text.match(/^.*baseline.*$/gim)).toEqual(['Baseline unclosed.baseline: 7 known findings.']);
  });

  it.each([
    [{ added: 3, raised: 0, lowered: 1, dropped: 2 }, '7 known findings; 3 added, 1 lowered, 2 dropped.'],
    [{ added: 0, raised: 0, lowered: 0, dropped: 0 }, '7 known findings; nothing changed.'],
  ])('says what was changed: %j', (changes, expected) => {
    expect(draw({ ...clean, baseline: { ...baseline, stale: [], changes } })).toContain(expected);
  });

  it('counts known findings apart from new ones, and says which have grown', () => {
    const grown: Finding = { ...second, baseline: { count: 1 } };
    const report: Report = {
      ...clean,
      findings: [{ ...worst, status: 'known', baseline: { count: 9 } }, grown],
      baseline,
    };
    expect(draw(report)).toMatch(/^✗ 1 error \(1 beyond the baseline\), 1 known \(--suppressed\)\.$/m);
    expect(draw({ ...report, findings: [report.findings[0]!] })).toMatch(
      /^✓ No new leaks and no new misuse of handles in app\.exe, 1 known \(--suppressed\)\.$/m,
    );
  });

  it('is not longer for a thousand stale entries', () => {
    const many = Array.from({ length: 1000 }, () => ({ ...stale, count: 1, found: 0 }));
    const text = draw({ ...clean, baseline: { ...baseline, stale: many } });
    expect(text.split('\n').length).toBeLessThan(20);
    expect(text).toMatch(/… 99\d more lines \(--all\)/);
  });

  it('obeys nothing that stands in a baseline', () => {
    for (let seed = 1; seed < 20; seed++) {
      const text = draw(makeHostile({ ...clean, baseline }, randomNumbers(seed)), { showAll: true });
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cs}\u200b\u202e\u2066\u2028\u2029]/u);
    }
  });
});

describe('the JSON report', () => {
  const toJson = (report: Report): { readonly baseline?: unknown; readonly findings: readonly Finding[] } =>
    JSON.parse([...json(report, plain)].join(''));

  it('has the baseline, its stale entries and what was changed', () => {
    expect(toJson({ ...clean, baseline }).baseline).toEqual(baseline);
    const changes = { added: 3, raised: 0, lowered: 1, dropped: 2 };
    expect(toJson({ ...clean, baseline: { ...baseline, changes } }).baseline).toEqual({ ...baseline, changes });
    expect(toJson(clean)).not.toHaveProperty('baseline');
  });

  it('says with a finding how much of it is accepted', () => {
    const grown: Finding = { ...second, baseline: { count: 1, perIteration: true } };
    const [first, other] = toJson({ ...clean, findings: [worst, grown] }).findings;
    expect(first).not.toHaveProperty('baseline');
    expect(other).toMatchObject({ status: 'new', baseline: { count: 1, perIteration: true } });
  });
});
