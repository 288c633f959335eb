import { describe, expect, it } from 'vitest';
import { mayHideFindings } from '../../../src/completeness.ts';
import { spellGap } from '../../../src/report/gaps.ts';
import { json as inPieces } from '../../../src/report/formats/json.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import type { Finding, Report } from '../../../src/model.ts';
import { makeHostile, randomNumbers } from './hostile.ts';
import { clean, sample } from './sample.ts';

const json = (report: Report, given: ReportOptions): string => [...inPieces(report, given)].join('');

const options = { colorLevel: 3, columns: 80, showNotes: true, showSuppressed: true } as const;

/** The report as a reader gets it: values as hexadecimal text, absent keys absent. */
function expected(report: Report): unknown {
  const notes = report.findings.filter(({ status, level }) => status === 'new' && level === 'note').length;
  return JSON.parse(
    JSON.stringify(
      {
        ...report,
        completeness: {
          complete: report.completeness.complete,
          notes: report.completeness.gaps.map(spellGap),
          gaps: report.completeness.gaps.map((gap) => ({ ...gap, mayHideFindings: mayHideFindings[gap.kind] })),
        },
        stats: {
          ...report.stats,
          notes,
          suppressed: report.findings.filter(({ status }) => status === 'suppressed').length,
        },
      },
      (_key, value: unknown) => (typeof value === 'bigint' ? `0x${BigInt.asUintN(64, value).toString(16)}` : value),
    ),
  );
}

describe('the JSON report', () => {
  it('holds everything that the report holds', () => {
    expect(JSON.parse(json(sample, options))).toEqual(expected(sample));
    expect(JSON.parse(json(clean, options))).toEqual(expected(clean));
    const repeated: Report = {
      ...sample,
      findings: sample.findings.map((finding) => ({
        ...finding,
        growth: { iterations: 8, grewIn: 3, handlesPerIteration: 0.5 },
        runs: [3, 0],
        suppression: 'leak:x',
        status: 'suppressed',
        suppressedBy: { line: 'leak:z', source: 'default', lineNumber: 1, reason: 'by design' },
      })),
      suppressions: [
        { line: 'leak:y', source: 'a.supp', lineNumber: 4, findings: 2 },
        { line: 'leak:z', source: 'default', lineNumber: 1, reason: 'by design', findings: 1 },
      ],
      runs: [
        { pid: 1, exitCode: 0, durationMs: 12 },
        { pid: 2, durationMs: 13 },
      ],
      stats: { ...sample.stats, iterations: 10 },
    };
    expect(JSON.parse(json(repeated, options))).toEqual(expected(repeated));
  });

  it('counts notes, and holds them only on demand', () => {
    const { findings, stats } = JSON.parse(json(sample, { ...options, showNotes: false })) as {
      findings: Finding[];
      stats: { notes: number };
    };
    expect(stats.notes).toBeGreaterThan(0);
    expect(findings.map(({ level }) => level)).not.toContain('note');
    expect(findings).toHaveLength(sample.findings.length - stats.notes);
  });

  it('has its keys in the documented order', () => {
    const document = JSON.parse(json(sample, options)) as { findings: { stacks: { opened?: object[] } }[] };
    expect(Object.keys(document)).toEqual(['schemaVersion', 'tool', 'target', 'findings', 'completeness', 'stats']);
    expect(Object.keys(document.findings[2]!)).toEqual([
      'rule',
      'level',
      'status',
      'message',
      'count',
      'object',
      'handles',
      'objects',
      'stacks',
      'fingerprint',
    ]);
    expect(Object.keys(document.findings[2]!.stacks)).toEqual(['opened', 'siblingsClosed']);
    expect(Object.keys(document.findings[2]!.stacks.opened![4]!)).toEqual([
      'module',
      'function',
      'offset',
      'file',
      'line',
    ]);
    expect(Object.keys(document.findings[2]!.stacks.opened![0]!)).toEqual(['module', 'function', 'offset', 'system']);
  });

  it('has the keys of a suppressed finding in the documented order', () => {
    const suppressedBy = { reason: 'by design', lineNumber: 1, source: 'default', line: 'leak:z' };
    const finding: Finding = { ...sample.findings[0]!, suppressedBy, status: 'suppressed', suppression: 'leak:x' };
    const document = JSON.parse(json({ ...sample, findings: [finding] }, options)) as { findings: Finding[] };
    expect(Object.keys(document.findings[0]!).slice(-3)).toEqual(['fingerprint', 'suppression', 'suppressedBy']);
    expect(Object.keys(document.findings[0]!.suppressedBy!)).toEqual(['line', 'source', 'lineNumber', 'reason']);
  });

  it('is the same text whatever the order of the report’s keys', () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(reversed)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, each]) => [key, reversed(each)]),
            )
          : value;
    expect(json(reversed(sample) as Report, options)).toBe(json(sample, options));
  });

  it('writes handles as unsigned hexadecimal numbers', () => {
    const finding: Finding = { ...sample.findings[0]!, handles: [0x1a4n, -1n, 0n] };
    expect(JSON.parse(json({ ...sample, findings: [finding] }, options)).findings[0].handles).toEqual([
      '0x1a4',
      '0xffffffffffffffff',
      '0x0',
    ]);
  });

  it('leaves out the exit code of a target that still runs', () => {
    const { exitCode: _exitCode, ...target } = sample.target;
    expect(JSON.parse(json({ ...sample, target }, options)).target).not.toHaveProperty('exitCode');
  });

  it('carries every hostile name whole, in text that a terminal may show', () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const report = makeHostile(sample, randomNumbers(seed));
      const text = json(report, options);
      expect(JSON.parse(text)).toEqual(expected(report));
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
    }
  });

  it('is one document that ends with a line feed', () => {
    expect(json(clean, options)).toMatch(/^\{\n[\s\S]*\n\}\n$/);
  });
});
