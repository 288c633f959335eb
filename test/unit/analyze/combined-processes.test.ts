import { describe, expect, it } from 'vitest';

import { combineProcessFindings } from '../../../src/analyze/combine/processes.ts';
import type { Finding } from '../../../src/model.ts';

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
      processes: [{ pid: 8, count: 2 }],
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
