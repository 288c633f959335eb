import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { Evidence } from '../../../src/evidence-model.ts';
import { bySystem, closed, closedAgain, opened, used } from './calls.ts';
import { called, mainBottom, misuse, openSite } from './evidence.ts';

describe('findings', () => {
  const evidence: Evidence = {
    open: [
      openSite({ opened, count: 3 }),
      openSite({
        opened: called('NtCreateFile', 'kernelbase!CreateFileW', ...mainBottom),
        object: { type: 'File' },
        count: 9,
      }),
      openSite({
        opened: called('NtCreateFile', 'kernelbase!CreateFileW', 'app!other', ...mainBottom),
        object: { type: 'File' },
        count: 60,
      }),
      openSite({ opened: { ...opened, timeMs: 1 }, count: 2, siblingsClosedAt: closed.stack }),
      openSite({ opened: bySystem, object: { type: 'File' } }),
    ],
    misuses: [
      misuse({ object: { type: 'Event' }, offending: closedAgain, opened, closed }),
      misuse({ object: { type: 'Event' }, offending: closed, opened, closed: closedAgain }),
      misuse({ kind: 'use', offending: used, values: [0x5550n] }),
      misuse({ offending: closedAgain, values: [0n] }),
    ],
  };

  it('come errors first, then by rule, then the most frequent first', () => {
    expect(analyze(evidence).map(({ level, rule, count }) => `${level} ${rule} ${count}`)).toEqual([
      'error double-close 2',
      'error leak 60',
      'error leak 5',
      'warning invalid-use 1',
      'warning leak 9',
      'note invalid-close 1',
      'note leak 1',
    ]);
  });

  it('do not depend on the order of the evidence', () => {
    const expected = analyze(evidence);
    for (let seed = 1; seed <= 200; seed += 1) {
      expect(analyze({ open: shuffled(evidence.open, seed), misuses: shuffled(evidence.misuses, seed + 7) })).toEqual(
        expected,
      );
    }
  });

  it('have fingerprints of 16 hexadecimal digits, no two alike', () => {
    const prints = analyze(evidence).map((finding) => finding.fingerprint);
    expect(new Set(prints).size).toBe(prints.length);
    for (const print of prints) expect(print).toMatch(/^[0-9a-f]{16}$/);
  });

  it('count every handle and every refused call exactly once', () => {
    const total = analyze(evidence).reduce((sum, finding) => sum + finding.count, 0);
    const expected = [...evidence.open, ...evidence.misuses].reduce((sum, record) => sum + record.count, 0);
    expect(total).toBe(expected);
  });

  it('of no evidence are none', () => {
    expect(analyze({ open: [], misuses: [] })).toEqual([]);
  });
});

/** Fisher and Yates' shuffle over a small linear congruential generator: the same for the same seed. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items];
  let state = seed;
  for (let index = result.length - 1; index > 0; index -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (index + 1);
    [result[index], result[other]] = [result[other]!, result[index]!];
  }
  return result;
}
