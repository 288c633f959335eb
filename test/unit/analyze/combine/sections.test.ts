import { describe, expect, it } from 'vitest';

import { combineSections, replaceSections, withSections } from '../../../../src/analyze/combine/sections.ts';
import type { Finding, SectionPart } from '../../../../src/model.ts';

const part = (count: number, ...names: readonly string[]): SectionPart => ({ names, count });
const rest = (of: number, count: number): SectionPart => ({ names: [], of, count });

function finding(change: Partial<Finding> = {}): Finding {
  return {
    rule: 'leak',
    level: 'warning',
    status: 'new',
    message: 'Handles are open.',
    count: 3,
    object: { type: 'Event' },
    handles: [],
    stacks: {},
    fingerprint: '0000000000000001',
    ...change,
  };
}

describe('the sections of several entries', () => {
  it('are added up by their names, those of most calls first', () => {
    const all = combineSections([
      { opened: [part(1, 'a'), part(2, 'b')], called: [part(1, 'c')] },
      undefined,
      { opened: [part(4, 'b'), part(2, 'a', 'b')], leftIn: 2 },
      { leftIn: 1 },
    ]);
    expect(all).toEqual({
      opened: [part(6, 'b'), part(2, 'a', 'b'), part(1, 'a')],
      called: [part(1, 'c')],
      leftIn: 3,
    });
  });

  it('have all that is not listed at the end, however many calls it is', () => {
    const all = combineSections([
      { opened: [part(2, 'a'), rest(5, 90)] },
      { opened: [part(3, 'b'), rest(2, 10)] },
      { opened: [part(1, 'b')] },
    ]);
    expect(all).toEqual({ opened: [part(4, 'b'), part(2, 'a'), rest(7, 100)] });
  });

  it.each([[[]], [[undefined, undefined]], [[{}, { opened: [] }]]])('are unknown where none is known: %j', (all) => {
    expect(combineSections(all)).toBeUndefined();
  });
});

describe('a sentence about sections', () => {
  const spell = (opened: readonly SectionPart[], count?: number): string =>
    withSections(finding({ message: '' }), { opened }, count).message;

  it.each<[string, readonly SectionPart[], number | undefined]>([
    [' Opened in test `a`.', [part(3, 'a')], 3],
    [' Opened in test `a`.', [part(2, 'a')], undefined],
    [' Opened in test `a` (2 of 3 handles).', [part(2, 'a')], 3],
    [' Opened in one of `a`, `b`, all open at the time (2 of 3 handles).', [part(2, 'a', 'b')], 3],
    [' Opened in tests `a` (2) and 4 more (6).', [part(2, 'a'), rest(4, 6)], 8],
    [
      ' Opened in tests `a` (4), `b` (3), `c` (2) and 6 more (7).',
      [part(4, 'a'), part(3, 'b'), part(2, 'c'), part(1, 'd'), rest(5, 6)],
      16,
    ],
  ])('%s', (sentence, parts, count) => {
    expect(spell(parts, count)).toBe(sentence);
  });

  it('says at the ends of how many tests handles were left open, unless it was one', () => {
    const of = (leftIn: number): string => withSections(finding({ message: '' }), { leftIn }).message;
    expect([of(1), of(2)]).toEqual(['', ' Left open at the ends of 2 tests.']);
  });

  it('is not there without sections', () => {
    expect(withSections(finding(), undefined)).toEqual(finding());
  });
});

describe('other sections for a finding', () => {
  const one = { opened: [part(2, 'a')] };
  const other = { opened: [part(5, 'b')] };

  it('take the place of its sentence', () => {
    const leak = withSections(finding(), one, 3);
    expect(leak.message).toBe('Handles are open. Opened in test `a` (2 of 3 handles).');
    const replaced = replaceSections(leak, other, 9);
    expect(replaced.message).toBe('Handles are open. Opened in test `b` (5 of 9 handles).');
    expect(replaced.sections).toEqual(other);
  });

  it('take the place of a misuse’s, which has no share', () => {
    const misuse = withSections(finding({ rule: 'double-close' }), one);
    expect(replaceSections(misuse, other).message).toBe('Handles are open. Opened in test `b`.');
  });

  it('do not come where the finding has none, or there are none', () => {
    const leak = withSections(finding(), one, 3);
    expect(replaceSections(finding(), other)).toEqual(finding());
    expect(replaceSections(leak, undefined)).toEqual(leak);
  });
});
