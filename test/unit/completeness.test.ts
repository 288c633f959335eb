import { describe, expect, it } from 'vitest';
import { combineCompleteness, type Gap, weighGaps } from '../../src/completeness.ts';

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
});
