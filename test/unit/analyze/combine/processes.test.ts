import { describe, expect, it } from 'vitest';

import { combineProcessFindings, combineUses } from '../../../../src/analyze/combine/processes.ts';
import type { Finding, SuppressionUse } from '../../../../src/model.ts';

function finding(fingerprint: string, count: number, change: Partial<Finding> = {}): Finding {
  return {
    rule: 'leak',
    level: 'warning',
    status: 'new',
    message: `${count} handles.`,
    count,
    object: { type: 'Event' },
    handles: [],
    stacks: {},
    fingerprint,
    ...change,
  };
}

const process = (pid: number, image: string, ...findings: readonly Finding[]) => ({ pid, image, findings });

describe('the findings of several processes', () => {
  it('are each of one process, which the message names', () => {
    const [one] = combineProcessFindings([process(4, 'C:\\a.exe'), process(8, 'C:\\b.exe', finding('f', 2))]);
    expect(one).toMatchObject({
      count: 2,
      message: '2 handles. In process 8 (b.exe).',
      processes: [{ pid: 8, index: 1, count: 2 }],
    });
  });

  it('are one where they are at the same site, with the sum of their counts', () => {
    const all = combineProcessFindings([1, 2, 3].map((pid) => process(pid, 'C:\\a.exe', finding('f', pid))));
    expect(all).toHaveLength(1);
    expect(all[0]).toMatchObject({ count: 6, message: '3 handles. In 3 processes of a.exe, 6 handles in all.' });
  });

  it('are as bad as where they are worst', () => {
    const [one] = combineProcessFindings([
      process(1, 'a.exe', finding('f', 9)),
      process(2, 'b.exe', finding('f', 1, { level: 'error' })),
    ]);
    expect(one).toMatchObject({ level: 'error', count: 10 });
    expect(one?.message).toBe('1 handles. In 2 processes of a.exe, b.exe, 10 handles in all.');
  });

  it('are new where they are new in any process', () => {
    const [one] = combineProcessFindings([
      process(1, 'a.exe', finding('f', 9, { status: 'suppressed' })),
      process(2, 'a.exe', finding('f', 1)),
    ]);
    expect(one?.status).toBe('new');
  });

  it('come with the worst first', () => {
    const all = combineProcessFindings([
      process(1, 'a.exe', finding('warning', 9)),
      process(2, 'a.exe', finding('error', 1, { level: 'error' })),
    ]);
    expect(all.map(({ fingerprint }) => fingerprint)).toEqual(['error', 'warning']);
  });
});

describe('the suppressions of several processes', () => {
  const use = (lineNumber: number, source = 'known.txt'): SuppressionUse => ({
    line: `leak:${lineNumber}`,
    source,
    lineNumber,
    findings: 1,
  });
  const by = (each: SuppressionUse) => ({ status: 'suppressed', suppressedBy: each }) as const;

  it('are each there once, with the sites that they suppressed in any of them', () => {
    const all = combineUses(
      [
        [use(1), use(2)],
        [use(1), use(2), use(1, 'other.txt')],
      ],
      [
        finding('a', 1, by(use(1))),
        finding('b', 1, by(use(1))),
        finding('c', 1, by(use(1, 'other.txt'))),
        finding('d', 1),
      ],
    );
    expect(all.map(({ source, lineNumber, findings }) => [source, lineNumber, findings])).toEqual([
      ['known.txt', 1, 2],
      ['known.txt', 2, 0],
      ['other.txt', 1, 1],
    ]);
  });
});

describe('the processes of a finding', () => {
  it.each<[title: string, images: readonly string[], change: Partial<Finding>, sentence: string]>([
    ['of one program are counted', ['C:\\a.exe', 'D:\\a.exe'], {}, 'In 2 processes of a.exe, 4 handles in all.'],
    ['of three are named', ['c.exe', 'a.exe', 'b.exe'], {}, 'In 3 processes of a.exe, b.exe, c.exe, 6 handles in all.'],
    ['of four are not', ['a.exe', 'b.exe', 'c.exe', 'd.exe'], {}, 'In 4 processes of 4 programs, 8 handles in all.'],
    [
      'that made a mistake have done so some times',
      ['a.exe', 'a.exe'],
      { rule: 'double-close' },
      'In 2 processes of a.exe, 4 times in all.',
    ],
  ])('%s', (_title, images, change, sentence) => {
    const [one] = combineProcessFindings(images.map((image, pid) => process(pid, image, finding('f', 2, change))));
    expect(one?.message).toBe(`2 handles. ${sentence}`);
  });
});
