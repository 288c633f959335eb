import { describe, expect, it } from 'vitest';

import { combineTree } from '../../../src/audit/tree/combine-tree.ts';
import type { ProcessReport } from '../../../src/audit/tree/process-report.ts';
import type { Gap } from '../../../src/completeness.ts';
import type { Finding } from '../../../src/model.ts';
import { leakOf } from '../baseline/made-up.ts';
import { clean } from '../report/sample.ts';

interface Parts extends Partial<ProcessReport> {
  readonly findings?: readonly Finding[];
}

function of(pid: number, image: string, { findings = [], ...rest }: Parts = {}): ProcessReport {
  return {
    target: { pid },
    pid,
    image: `C:\\${image}`,
    found: { findings },
    gaps: [],
    nameless: [],
    stats: clean.stats,
    ...rest,
  };
}

const make = of(8, 'make.exe');
const combine = (...reports: readonly ProcessReport[]) => combineTree(make, { reports, gaps: [] });

describe('the processes of a tree in which an id was used again', () => {
  const leak = leakOf('open_log', 3);
  const other = leakOf('open_lock');

  it('have each its own findings', () => {
    const tree = combine(
      of(100, 'worker.exe', { findings: [leak] }),
      of(100, 'git.exe'),
      of(100, 'git.exe', { findings: [leak, other] }),
    );
    expect(tree.processes?.map(({ pid, findings }) => [pid, findings])).toEqual([
      [8, 0],
      [100, 1],
      [100, 0],
      [100, 2],
    ]);
    expect(tree.findings.map(({ fingerprint, processes }) => [fingerprint, processes])).toEqual([
      [
        leak.fingerprint,
        [
          { pid: 100, index: 1, count: 3 },
          { pid: 100, index: 3, count: 3 },
        ],
      ],
      [other.fingerprint, [{ pid: 100, index: 3, count: 1 }]],
    ]);
  });

  it('have each the parent that started it', () => {
    const first = of(100, 'cc.exe', { parent: make.target });
    const second = of(100, 'ld.exe', { parent: make.target });
    const tree = combine(first, second, of(104, 'strip.exe', { parent: second.target }));
    expect(tree.processes?.map(({ parentPid, parentIndex }) => [parentPid, parentIndex])).toEqual([
      [undefined, undefined],
      [8, 0],
      [8, 0],
      [100, 2],
    ]);
  });

  it('have no place of a parent that is not listed, although another one with its id is', () => {
    const tree = combine(of(100, 'cc.exe'), of(104, 'strip.exe', { parent: { pid: 100 } }));
    expect(tree.processes?.[2]).toMatchObject({ parentPid: 100 });
    expect(tree.processes?.[2]).not.toHaveProperty('parentIndex');
  });

  it('have each its own gaps', () => {
    const gaps: readonly Gap[] = [{ kind: 'handle-table-lost', why: 'ended-from-outside' }];
    const counted: readonly Gap[] = [{ kind: 'stacks-dropped', count: 2 }];
    const tree = combine(
      of(100, 'cc.exe', { gaps }),
      of(100, 'ld.exe', { gaps: counted }),
      of(100, 'ar.exe', { gaps: [...gaps, ...counted] }),
    );
    expect(tree.gaps).toEqual([
      { ...gaps[0], processes: [100, 100], indexes: [1, 3] },
      { kind: 'stacks-dropped', count: 4, processes: [100, 100], indexes: [2, 3] },
    ]);
  });
});
