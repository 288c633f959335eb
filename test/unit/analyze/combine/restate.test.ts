import { describe, expect, it } from 'vitest';

import { restateFindings } from '../../../../src/analyze/combine/restate.ts';
import type { Finding } from '../../../../src/model.ts';
import { sample } from '../../report/sample.ts';

const [first] = sample.findings as readonly [Finding];

function finding(fingerprint: string, change: Partial<Finding> = {}): Finding {
  return {
    ...first,
    fingerprint,
    level: 'warning',
    status: 'new',
    processes: [{ pid: 4, index: 0, count: 1 }],
    ...change,
  };
}

const processes = [
  { pid: 4, image: 'a.exe', opens: 2, closes: 1, findings: 2 },
  { pid: 8, image: 'b.exe', opens: 2, closes: 1, findings: 0 },
];

describe('a report with other verdicts', () => {
  const before = { ...sample, findings: [finding('a'), finding('b')], processes };

  it.each<[title: string, change: Partial<Finding>, findings: number]>([
    ['counts one less of a process where a finding is accepted', { status: 'suppressed' }, 1],
    ['counts one less where it is a note now', { level: 'note' }, 1],
    ['counts as many where a warning is an error now', { level: 'error' }, 2],
  ])('%s', (_title, change, count) => {
    const after = restateFindings(before, [finding('a', change), finding('b')]);
    expect(after.processes?.map(({ findings }) => findings)).toEqual([count, 0]);
  });

  it('counts one more where a note is a warning now, in each of its processes', () => {
    const both = { processes: [4, 8].map((pid, index) => ({ pid, index, count: 1 })) };
    const notes = { ...before, findings: [finding('a', { ...both, level: 'note' })] };
    const after = restateFindings(notes, [finding('a', both)]);
    expect(after.processes?.map(({ findings }) => findings)).toEqual([3, 1]);
  });

  it('counts one less of the process alone that the finding is of, and not of a later one with its id', () => {
    const again = { ...before, processes: [...processes, { ...processes[0]!, image: 'c.exe' }] };
    const after = restateFindings(again, [finding('a', { status: 'suppressed' }), finding('b')]);
    expect(after.processes?.map(({ findings }) => findings)).toEqual([1, 0, 2]);
  });

  it('counts as many where the finding is of a process that is not listed, whatever its id', () => {
    const of = { processes: [{ pid: 4, count: 1 }] };
    const after = restateFindings({ ...before, findings: [finding('a', of)] }, [
      finding('a', { ...of, status: 'suppressed' }),
    ]);
    expect(after.processes?.map(({ findings }) => findings)).toEqual([2, 0]);
  });

  it('never counts below nothing', () => {
    const none = { ...before, processes: [{ ...processes[0]!, findings: 0 }] };
    const after = restateFindings(none, [finding('a', { status: 'known' }), finding('b')]);
    expect(after.processes?.map(({ findings }) => findings)).toEqual([0]);
  });

  it('has the worst findings first, and no processes where it had none', () => {
    const { processes: _processes, ...alone } = before;
    const after = restateFindings(alone, [finding('a'), finding('b', { level: 'error' })]);
    expect(after.findings.map(({ fingerprint }) => fingerprint)).toEqual(['b', 'a']);
    expect(after).not.toHaveProperty('processes');
  });
});
