import { describe, expect, it } from 'vitest';

import type { Finding, Report } from '../../../src/model.ts';
import { json } from '../../../src/report/formats/json.ts';
import { suppressions } from '../../../src/report/formats/suppressions.ts';
import { table } from '../../../src/report/formats/table.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import { clean, sample } from './sample.ts';

const [worst, second, third, other] = sample.findings as readonly [Finding, Finding, Finding, Finding];
const note = sample.findings.find(({ level }) => level === 'note')!;

const used = { line: 'leak:used', source: 'x.supp', lineNumber: 3 };
const byDesign = { line: 'leak:node.exe', source: 'default', lineNumber: 1, reason: 'by design' };

/** Two findings by a line of a file, one of them a note; one by a default line; one line without any. */
const accepted: Report = {
  ...clean,
  findings: [
    { ...worst, status: 'suppressed', suppressedBy: used },
    { ...second, status: 'suppressed', suppressedBy: byDesign },
    { ...note, status: 'suppressed', suppressedBy: used },
  ],
  suppressions: [
    { ...used, findings: 2 },
    { line: 'leak:idle', source: 'x.supp', lineNumber: 4, findings: 0 },
    { ...byDesign, findings: 1 },
  ],
};

const plain: ReportOptions = { colorLevel: 0, columns: 80 };
const draw = (report: Report, options: Partial<ReportOptions> = {}): string => table(report, { ...plain, ...options });

function toJson(
  report: Report,
  options: Partial<ReportOptions> = {},
): { readonly findings: readonly Finding[]; readonly stats: Readonly<Record<string, number>> } {
  return JSON.parse([...json(report, { ...plain, ...options })].join(''));
}

describe('the table', () => {
  it('counts what was suppressed, and says by which lines', () => {
    expect(draw(accepted)).toMatch(
      /^Suppressed: 3 findings\.\n {2}• 2 by x\.supp:3 {2}leak:used\nSuppressions that matched nothing: 1 \(--notes\)\.\n$/m,
    );
    expect(draw(accepted)).toMatch(/^✓ No leaks .*, 3 suppressed \(--suppressed\)\.$/m);
    expect(draw(accepted)).not.toMatch(/leak:idle|leak:node|^SUPPRESSED|^ERROR/m);
  });

  it('only counts what the default lines suppress, unless more is asked for', () => {
    const byDefault: Report = { ...accepted, suppressions: [{ ...byDesign, findings: 3 }] };
    expect(draw(byDefault)).not.toMatch(/^Suppressed/m);
    expect(draw(byDefault)).toMatch(/, 3 suppressed \(--suppressed\)\.$/m);
    for (const options of [{ showNotes: true }, { showSuppressed: true }])
      expect(draw(byDefault, options)).toMatch(/^Suppressed: 3 findings\.\n {2}• 3 by default {2}leak:node\.exe/m);
  });

  it('says with the notes which lines matched nothing, and why there are default ones', () => {
    expect(draw(accepted, { showNotes: true })).toMatch(
      /^Suppressions that matched nothing:\n {2}• x\.supp:4 {2}leak:idle$/m,
    );
    expect(draw(accepted, { showNotes: true })).toContain('leak:node.exe: by design');
  });

  it('lists the lines that have expired in any case, with their last day', () => {
    const over = { line: 'leak:old;expires:2027-01-31', source: 'x.supp', lineNumber: 9, expires: '2027-01-31' };
    const report: Report = { ...clean, suppressions: [{ ...over, reason: 'issue 7', findings: 0, expired: true }] };
    expect(draw(report)).toMatch(
      /^Suppressions that have expired, and suppress nothing any more:\n {2}• x\.supp:9 {2}leak:old;expires:2027-01-31\n$/m,
    );
    expect(draw(report, { showNotes: true })).toContain('leak:old;expires:2027-01-31: issue 7');
    expect(draw(report)).not.toContain('matched nothing');
    expect(toJson(report)).toMatchObject({
      suppressions: [{ expires: '2027-01-31', reason: 'issue 7', findings: 0, expired: true }],
    });
  });

  it('says nothing of suppressions where nothing was suppressed', () => {
    expect(draw({ ...clean, suppressions: [] }, { showNotes: true })).not.toMatch(/suppress/i);
  });

  it('lists suppressed findings on demand, each with its level, its line and the reason', () => {
    const text = draw(accepted, { showSuppressed: true });
    expect(text.match(/^SUPPRESSED /gm)).toHaveLength(3);
    expect(text).toContain('\n  An error, suppressed by x.supp:3  leak:used\n');
    expect(text).toContain('\n  An error, suppressed by default  leak:node.exe: by design\n');
    expect(text).toContain('\n  A note, suppressed by x.supp:3  leak:used\n');
    expect(text).toMatch(/^Suppressed: 3 findings\.$/m);
    expect(text).toMatch(/^✓ No leaks .*, 3 suppressed\.$/m);
  });

  it('keeps suppressed findings out of the summary and of the counts of the verdict', () => {
    const mixed = { ...accepted, findings: [...accepted.findings, third, other] };
    for (const showSuppressed of [false, true]) {
      const text = draw(mixed, { showSuppressed });
      expect(text.match(/^(?:error|warning|note) .*$/gm)).toHaveLength(2);
      expect(text).toMatch(/^✗ 2 errors, 3 suppressed(?: \(--suppressed\))?\.$/m);
    }
  });

  it('treats known findings like suppressed ones', () => {
    const known: Report = { ...clean, findings: [{ ...worst, status: 'known' }] };
    expect(draw(known)).toMatch(/^✓ No new leaks .*, 1 known \(--suppressed\)\.$/m);
    expect(draw(known)).not.toMatch(/^KNOWN/m);
    expect(draw(known, { showSuppressed: true })).toMatch(/^KNOWN double-close [\s\S]*^ {2}An error, known$/m);
  });
});

describe('the JSON report', () => {
  it('counts suppressed findings, and lists only new ones', () => {
    const { findings, stats } = toJson({ ...accepted, findings: [...accepted.findings, third] });
    expect(findings.map(({ fingerprint, status }) => [fingerprint, status])).toEqual([[third.fingerprint, 'new']]);
    expect(stats).toMatchObject({ suppressed: 3, notes: 0 });
    expect(stats).not.toHaveProperty('known');
  });

  it('lists suppressed findings of every level on demand, each with its line', () => {
    const { findings, stats } = toJson(accepted, { showSuppressed: true });
    expect(findings.map(({ status, level, suppressedBy }) => [status, level, suppressedBy])).toEqual([
      ['suppressed', 'error', used],
      ['suppressed', 'error', byDesign],
      ['suppressed', 'note', used],
    ]);
    expect(stats['suppressed']).toBe(3);
  });

  it('does not list suppressed notes with the notes', () => {
    expect(toJson(accepted, { showNotes: true }).findings).toEqual([]);
  });

  it('counts known findings, and lists them on demand', () => {
    const known: Report = { ...clean, findings: [{ ...worst, status: 'known' }] };
    expect(toJson(known)).toMatchObject({ findings: [], stats: { known: 1, suppressed: 0 } });
    expect(toJson(known, { showSuppressed: true }).findings.map(({ status }) => status)).toEqual(['known']);
  });
});

describe('the suppressions reporter', () => {
  it('writes lines for new findings only', () => {
    const withLines = (findings: readonly Finding[]): readonly Finding[] =>
      findings.map((finding) => ({ ...finding, suppression: `${finding.rule}:fingerprint:${finding.fingerprint}` }));
    const report = { ...accepted, findings: withLines([...accepted.findings, third]) };
    const text = suppressions(report, { ...plain, showNotes: true, showSuppressed: true });
    expect(text.match(/^[a-z].*$/gm)).toEqual([`${third.rule}:fingerprint:${third.fingerprint}`]);
  });
});
