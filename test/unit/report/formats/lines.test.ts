// The formats that have a line, a row or an entry for each finding.
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';

import { makeOddReport } from '../../../../bench/odd-report.js';
import type { Finding, Report } from '../../../../src/model.ts';
import { csv } from '../../../../src/report/formats/csv.ts';
import { folded } from '../../../../src/report/formats/folded.ts';
import { gitlab } from '../../../../src/report/formats/gitlab.ts';
import { json } from '../../../../src/report/formats/json.ts';
import { ndjson } from '../../../../src/report/formats/ndjson.ts';
import { clean, sample } from '../sample.ts';
import { atHome, everything, listAll, opened, whole } from './everything.ts';

const [leak] = everything.findings as readonly [Finding];
const only = (...findings: readonly Finding[]): Report => ({ ...everything, findings });
const odd = makeOddReport(300, 60);

describe('the CSV report', () => {
  const rowsOf = (report: Report): readonly Readonly<Record<string, string>>[] =>
    parse(whole(csv(report, listAll)), { columns: true, record_delimiter: '\r\n' });

  it('has a row for each finding, new ones first', () => {
    expect(rowsOf(everything).map(({ status, rule, file, line }) => `${status} ${rule} ${file}:${line}`)).toEqual([
      'new leak src/log file.c:4',
      'new stale-close src/rotate.c:44',
      'new leak :',
      'suppressed leak src/log file.c:4',
      'known stale-close src/rotate.c:44',
    ]);
  });

  it('is read by others, whatever the target is called, and no cell is a formula', () => {
    expect(rowsOf(odd)).toHaveLength(300);
    for (const row of rowsOf(odd)) {
      for (const cell of Object.values(row)) expect(cell).not.toMatch(/^[=+\-@\t\r]|[\0-\x1f]/);
    }
    const [row] = rowsOf(only({ ...leak, message: '=HYPERLINK("https://example.org"), "a"\r\nb' }));
    expect(row!['message']).toBe(`'=HYPERLINK("https://example.org"), "a"\\r\\nb`);
  });

  it('is a header where nothing was found', () => {
    expect(whole(csv(clean, listAll))).toMatch(/^level,status,rule,[\w,]+\r\n$/);
  });
});

describe('the NDJSON report', () => {
  const linesOf = (report: Report): readonly Readonly<Record<string, unknown>>[] =>
    whole(ndjson(report, listAll))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('has a line for each finding with the members of the JSON report, and a last one for the audit', () => {
    const { findings, completeness, stats } = JSON.parse(whole(json(everything, listAll)));
    const lines = linesOf(everything);
    expect(lines.map(({ kind }) => kind)).toEqual(['finding', 'finding', 'finding', 'finding', 'finding', 'audit']);
    const listed = lines.slice(0, -1).map(({ kind: _kind, tool: _tool, target: _target, ...finding }) => finding);
    expect(listed).toEqual(expect.arrayContaining(findings));
    expect(lines.at(-1)).toMatchObject({ completeness, stats, findings: { error: 1, warning: 1, note: 1 } });
  });

  it('says how many frames it leaves out', () => {
    const deep = Array.from({ length: 500 }, () => opened[1]!);
    const [line] = linesOf(only({ ...leak, stacks: { opened: deep, closed: deep.slice(0, 5) } }));
    expect(line).toMatchObject({ framesLeftOut: { opened: 436 } });
  });

  it('has short lines only, whatever the target is called', () => {
    const monster = '\ufeff\u{e0001}'.repeat(10_000);
    const frame = { module: monster, function: monster, offset: 1, file: monster, line: 1 };
    const object = { type: monster, name: monster, socket: { local: monster, remote: monster } };
    const worst: Finding = {
      ...leak,
      message: monster,
      object,
      handles: Array.from({ length: 10 }, (_, index) => BigInt(index)),
      objects: Array.from({ length: 10 }, () => object),
      stacks: { opened: Array.from({ length: 500 }, () => frame), closed: Array.from({ length: 500 }, () => frame) },
      suppression: monster,
    };
    const hostile = { ...only(worst), target: { command: Array.from({ length: 500 }, () => monster), pid: 1 } };
    for (const report of [odd, hostile]) {
      for (const line of whole(ndjson(report, listAll)).trimEnd().split('\n')) {
        expect(Buffer.byteLength(line)).toBeLessThan(256 * 1024);
        expect(JSON.parse(line)).toHaveProperty('kind');
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
      }
    }
  });
});

describe('the Code Quality report for GitLab', () => {
  it('has the members that GitLab reads', () => {
    const violations = JSON.parse(gitlab(everything, listAll));
    expect(violations[0]).toEqual({
      description: '3 File handles opened at open_log (log file.c:4) are still open.',
      check_name: 'leak',
      fingerprint: '00000000000000a1',
      severity: 'critical',
      location: { path: 'src/log file.c', lines: { begin: 4 } },
    });
    expect(violations[2]).toMatchObject({ severity: 'info', location: { path: 'build/app.exe', lines: { begin: 1 } } });
    expect(gitlab(clean, atHome)).toBe('[]\n');
  });

  it('has a place within the repository for each violation, whatever the target is called', () => {
    const violations: readonly { location: { path: string; lines: { begin: number } } }[] = JSON.parse(
      gitlab(odd, listAll),
    );
    expect(violations).toHaveLength(300);
    for (const { location } of violations) {
      expect(location.path).toMatch(/^(?!\.{0,2}\/)[^]+$/);
      expect(location.lines.begin).toBeGreaterThan(0);
    }
  });
});

describe('the folded stacks', () => {
  /** As flamegraph.pl reads a line, and speedscope. */
  const read = (text: string): readonly { readonly frames: readonly string[]; readonly count: number }[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [, stack, count] = /^(.*)\s+?(\d+(?:\.\d*)?)$/.exec(line)!;
        return { frames: stack!.split(';'), count: Number(count) };
      });

  it('lead from the thread’s first function to the handle, with the process as their root', () => {
    const [first, second] = read(whole(folded(only(leak), atHome)));
    expect(first).toEqual({
      frames: [
        'app.exe (4)',
        'app.exe!mainCRTStartup',
        'app.exe!main',
        'lib.dll!run',
        'app.exe!rotate',
        'app.exe!open_log',
        'kernelbase.dll!CreateFileW',
        '[File]',
      ],
      count: 1,
    });
    expect([second!.frames[0], second!.count]).toEqual(['app.exe (8)', 2]);
  });

  it('have the program of each process as their root, where an id was used again or is of another run', () => {
    const images = ['make.exe', 'cc.exe', 'ld.exe'].map((name) => `C:\\${name}`);
    const parts = [{ index: 1 }, { index: 2 }, { image: 'C:\\ar.exe' }, {}];
    const report: Report = {
      ...only({ ...leak, processes: parts.map((part, index) => ({ pid: 100, ...part, count: index + 1 })) }),
      processes: images.map((image) => ({ pid: 100, image, opens: 9, closes: 1, findings: 1 })),
    };
    const roots = read(whole(folded(report, atHome))).map(({ frames, count }) => [frames[0], count]);
    expect(roots).toEqual([
      ['cc.exe (100)', 1],
      ['ld.exe (100)', 2],
      ['ar.exe (100)', 3],
      ['? (100)', 4],
    ]);
  });

  it('count all that is open, and nothing else', () => {
    const leaks = sample.findings.filter(({ rule }) => rule === 'leak');
    const total = read(whole(folded(sample, listAll))).reduce((sum, { count }) => sum + count, 0);
    expect(total).toBe(leaks.reduce((sum, { count }) => sum + count, 0));
    expect(whole(folded(clean, listAll))).toBe('');
  });

  it('are one line for what was opened by the same stack', () => {
    const { processes: _processes, ...rest } = leak;
    const lines = read(whole(folded(only(rest, { ...rest, fingerprint: 'f'.repeat(16) }), atHome)));
    expect(lines.map(({ count }) => count)).toEqual([6]);
  });

  it('keep frames apart, whatever the target is called, and leave out the outer part of very deep ones', () => {
    const frame = { module: 'a;b.exe', function: 'vec<[u8; 4]> 12\n', offset: 1 };
    const { processes: _processes, ...rest } = leak;
    const stacks = { opened: Array.from({ length: 500 }, () => frame) };
    const [line] = read(whole(folded(only({ ...rest, object: { type: 'x;y 7' }, stacks }), atHome)));
    expect(line!.frames).toHaveLength(130);
    expect(line!.frames.slice(0, 2)).toEqual(['(outer frames left out)', 'a:b.exe!vec<[u8: 4]> 12\\n']);
    expect(line!.frames.at(-1)).toBe('[x:y 7]');
    for (const { frames, count } of read(whole(folded(odd, listAll)))) {
      expect(count).toBeGreaterThan(0);
      expect(frames.every((each) => each !== '' && !/[\0-\x1f]/.test(each))).toBe(true);
    }
  });
});
