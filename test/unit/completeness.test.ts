import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  combineCompleteness,
  combineProcessGaps,
  type Gap,
  groupGaps,
  mayHideFindings,
  weighGaps,
} from '../../src/completeness.ts';

const hiding: Gap = { kind: 'stacks-dropped', count: 3 };
const harmless: Gap = { kind: 'names-timed-out', count: 1 };

describe('the completeness of a report', () => {
  it.each<[title: string, gaps: readonly Gap[], complete: boolean, order: readonly Gap[]]>([
    ['is whole without gaps', [], true, []],
    ['is whole with gaps that hide nothing', [harmless], true, [harmless]],
    ['is partial with one that may hide a finding, which comes first', [harmless, hiding], false, [hiding, harmless]],
  ])('%s', (_, gaps, complete, order) => {
    expect(weighGaps(gaps)).toEqual({ complete, gaps: order });
  });

  it('of several runs names the runs of a gap that is not in all, and keeps gaps of other figures apart', () => {
    const more: Gap = { kind: 'stacks-dropped', count: 4 };
    const runs = [weighGaps([harmless, hiding]), weighGaps([harmless]), weighGaps([harmless, more])];
    expect(combineCompleteness(runs)).toEqual({
      complete: false,
      gaps: [{ ...hiding, runs: [1] }, { ...more, runs: [3] }, harmless],
    });
  });

  it('of several runs has no places of processes, which are those of one run', () => {
    const gap: Gap = { ...harmless, processes: [4] };
    const runs = [weighGaps([{ ...gap, indexes: [1] }]), weighGaps([{ ...gap, indexes: [2] }])];
    expect(combineCompleteness(runs).gaps).toEqual([gap]);
  });

  it('of several processes names those of a gap that is not in all, by their places where ids were used again', () => {
    const gaps = combineProcessGaps([
      { pid: 8, gaps: [harmless] },
      { pid: 100, gaps: [harmless, hiding] },
      { pid: 100, gaps: [harmless, harmless] },
    ]);
    expect(gaps).toEqual([
      { ...harmless, count: 4 },
      { ...hiding, processes: [100], indexes: [1] },
    ]);
  });

  it('counts each process that the report does not list, also where ids were used again', () => {
    const skipped: Gap = { kind: 'process-skipped', image: 'C:\\git.exe' };
    const left: Gap = { kind: 'process-left', image: 'C:\\git.exe' };
    const gaps = groupGaps([
      { pid: 100, gaps: [skipped] },
      { pid: 100, gaps: [skipped] },
      { pid: 100, index: 3, gaps: [left] },
    ]);
    expect(gaps).toEqual([
      { ...skipped, processes: [100, 100] },
      { ...left, processes: [100], indexes: [3] },
    ]);
  });
});

it('is documented: docs/json.md has every kind of gap, and says which hide nothing', () => {
  const page = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');
  const rows = page.split('\n## Gap\n')[1]!.split('\n## ')[0]!.split('\n');
  const documented = rows.flatMap((row) =>
    Array.from(row.split('|')[1]?.matchAll(/`([a-z-]+)`/g) ?? [], ([, kind]) => [kind, !row.includes('hides nothing')]),
  );
  expect(Object.fromEntries(documented)).toEqual(mayHideFindings);
});
