import { describe, expect, it } from 'vitest';

import { weighGaps } from '../../../src/completeness.ts';
import { combineRuns } from '../../../src/analyze/combine/repetition.ts';
import type { Finding, Report } from '../../../src/model.ts';
import { json } from '../../../src/report/formats/json.ts';
import { table } from '../../../src/report/formats/table.ts';
import { clean, sample } from '../report/sample.ts';

const first = sample.findings[0] as Finding;
const second = sample.findings.find(({ rule }) => rule === 'use-after-close')!;
const leak = sample.findings.find(({ rule }) => rule === 'leak')!;

function run(findings: readonly Finding[], parts: Partial<Report> = {}, exitCode = 0): Report {
  return { ...clean, findings, target: { ...clean.target, exitCode }, ...parts };
}

describe('several runs in one report', () => {
  it('have each finding once, with its count in each of them', () => {
    const { findings } = combineRuns([run([first]), run([{ ...first, count: first.count + 2 }]), run([first])]);
    expect(findings).toMatchObject([
      { fingerprint: first.fingerprint, count: first.count + 2, runs: [first.count, first.count + 2, first.count] },
    ]);
  });

  it.each<[title: string, counts: readonly number[], said: string]>([
    ['in all of them, alike', [3, 3, 3], 'In each of 3 runs, 3 handles a run.'],
    ['in all of them, not alike', [3, 1, 2], 'In each of 3 runs, 1 to 3 handles a run.'],
    ['in some of them', [0, 1, 0, 1, 1], 'Flaky: in 3 of 5 runs, 1 handle a run.'],
    ['in one of them', [0, 7], 'Flaky: in 1 of 2 runs, 7 handles a run.'],
    ['in the only one', [2], 'In the only run, 2 handles a run.'],
  ])('say of a leak that is %s so', (_, counts, said) => {
    const { findings } = combineRuns(counts.map((count) => run(count === 0 ? [] : [{ ...leak, count }])));
    expect(findings[0]!.message).toBe(`${leak.message} ${said}`);
  });

  it('count a misuse in times', () => {
    const misused = sample.findings.find(({ rule }) => rule === 'double-close')!;
    expect(combineRuns([run([misused]), run([misused])]).findings[0]!.message).toMatch(
      /In each of 2 runs, 7 times a run\.$/,
    );
  });

  it('show a finding as it was worst, and order findings by that', () => {
    const mild = { ...leak, level: 'warning', count: 40 } as const;
    const { findings } = combineRuns([
      run([mild]),
      run([{ ...leak, level: 'error', count: 2 }]),
      run([{ ...second, level: 'warning' }]),
    ]);
    expect(findings.map(({ level }) => level)).toEqual(['error', 'warning']);
    expect(findings[0]).toMatchObject({ count: 2, runs: [40, 2, 0] });
  });

  it('are of the first run that failed, or the last, and tell of all', () => {
    const runs = [run([]), run([], {}, 7), run([], {}, 9)].map((report, index) => ({
      ...report,
      target: { ...report.target, pid: 100 + index },
    }));
    expect(combineRuns(runs).target).toMatchObject({ pid: 101, exitCode: 7 });
    expect(combineRuns(runs).runs?.map(({ pid, exitCode }) => [pid, exitCode])).toEqual([
      [100, 0],
      [101, 7],
      [102, 9],
    ]);
    expect(combineRuns(runs.slice(0, 1)).target.pid).toBe(100);
  });

  it('add up what was counted', () => {
    const { stats } = combineRuns([run([]), run([])]);
    expect(stats).toMatchObject({
      opens: 2 * clean.stats.opens,
      closes: 2 * clean.stats.closes,
      durationMs: 2 * clean.stats.durationMs,
      openHandles: clean.stats.openHandles,
    });
  });

  it('are complete when all are, and say of which run a note is', () => {
    const everywhere = { kind: 'names-timed-out', count: 1 } as const;
    const here = { kind: 'stacks-dropped', count: 3 } as const;
    const note = { completeness: weighGaps([everywhere]) };
    const gap = { completeness: weighGaps([everywhere, here]) };
    expect(combineRuns([run([], note), run([], note)]).completeness).toEqual(note.completeness);
    expect(combineRuns([run([], note), run([], gap)]).completeness).toEqual({
      complete: false,
      gaps: [{ ...here, runs: [2] }, everywhere],
    });
  });

  it('are incomplete when fewer took place than were wanted', () => {
    expect(combineRuns([run([])], 3).completeness).toEqual({
      complete: false,
      gaps: [{ kind: 'runs-missing', done: 1, wanted: 3 }],
    });
    expect(combineRuns([run([])], 1).completeness.complete).toBe(true);
  });

  const line = { line: 'leak:x', source: 'a', lineNumber: 1 };
  const suppressed = (finding: Finding): Finding => ({ ...finding, status: 'suppressed', suppressedBy: line });

  it('name the modules without names of all of them', () => {
    const [a, b] = ['a.dll', 'b.dll'].map((module) => ({ module, why: 'no-debug-information' }) as const);
    const runs = [run([], { modulesWithoutNames: [b!] }), run([], { modulesWithoutNames: [a!, b!] }), run([])];
    expect(combineRuns(runs).modulesWithoutNames).toEqual([a, b]);
    expect(combineRuns([run([])])).not.toHaveProperty('modulesWithoutNames');
  });

  it('count once a site that a line suppressed in several of them', () => {
    const use = (findings: number) => ({ suppressions: [{ ...line, findings }] });
    expect(
      combineRuns([
        run([suppressed(first)], use(1)),
        run([], use(0)),
        run([suppressed(first), suppressed(second)], use(2)),
      ]).suppressions,
    ).toEqual([{ ...line, findings: 2 }]);
    expect(combineRuns([run([], use(0)), run([], use(0))]).suppressions).toEqual([{ ...line, findings: 0 }]);
  });

  it.each<[title: string, statuses: readonly Finding['status'][], combined: Finding['status']]>([
    ['new in one of them is new', ['suppressed', 'new', 'known'], 'new'],
    ['known and suppressed is known', ['suppressed', 'known'], 'known'],
    ['suppressed in all of them is suppressed', ['suppressed', 'suppressed'], 'suppressed'],
  ])('say that a finding that is %s', (_, statuses, combined) => {
    const { findings } = combineRuns(
      statuses.map((status) => run([status === 'suppressed' ? suppressed(leak) : { ...leak, status }])),
    );
    expect(findings).toHaveLength(1);
    expect(findings[0]!.status).toBe(combined);
    expect(findings[0]!.suppressedBy).toEqual(combined === 'suppressed' ? line : undefined);
  });

  it('show a new finding as in a run in which it is new, and count it in all of them', () => {
    const { findings } = combineRuns([
      run([suppressed({ ...leak, level: 'error', count: 9 })]),
      run([{ ...leak, level: 'warning', count: 2 }]),
    ]);
    expect(findings).toMatchObject([{ status: 'new', level: 'warning', count: 2, runs: [9, 2] }]);
  });

  it('have places of processes in the run whose processes are listed, and programs in another one', () => {
    const tree = (pid: number, image: string, count: number): Report =>
      run([{ ...leak, count, processes: [{ pid, index: 1, count }] }], {
        processes: ['C:\\make.exe', image].map((each, index) => {
          return { pid: index === 0 ? 8 : pid, image: each, opens: 9, closes: 1, findings: index };
        }),
      });
    const worse = tree(100, 'C:\\worker.exe', 9);
    const last = tree(100, 'C:\\git.exe', 2);
    expect(combineRuns([worse, last])).toMatchObject({
      findings: [{ count: 9, processes: [{ pid: 100, image: 'C:\\worker.exe', count: 9 }] }],
      processes: last.processes,
    });
    expect(combineRuns([worse, last]).findings[0]!.processes![0]).not.toHaveProperty('index');
    expect(combineRuns([last, worse]).findings[0]!.processes).toEqual([{ pid: 100, index: 1, count: 9 }]);
  });

  it('are said to be several by the table and by JSON', () => {
    const combined = combineRuns([run([first]), run([], {}, 3)]);
    expect(table(combined, { colorLevel: 0, columns: 100 })).toMatch(
      /^2 runs, 1 of which failed, pid 4242, exited with 3/m,
    );
    const { runs, findings } = JSON.parse([...json(combined, { colorLevel: 0, columns: 80 })].join('')) as {
      runs: unknown;
      findings: readonly { runs: unknown }[];
    };
    expect(runs).toMatchObject([{ exitCode: 0 }, { exitCode: 3 }]);
    expect(findings[0]!.runs).toEqual([first.count, 0]);
  });

  it('are at least one', () => {
    expect(() => combineRuns([])).toThrow(RangeError);
  });
});
