import { describe, expect, it } from 'vitest';

import { SiteChoice, type SiteCount } from '../../../src/telemetry/site-choice.ts';

const count = (site: string, of: number, type = 'Event'): SiteCount => ({ type, site, count: of });

describe('the choice of sites', () => {
  it('gives every site its own series where there are few', () => {
    const counts = [count('a', 1), count('b', 2)];
    expect(new SiteChoice(2).choose(counts)).toEqual([count('b', 2), count('a', 1)]);
  });

  it('adds up the sites with the fewest handles, by type', () => {
    const counts = [count('a', 9), count('b', 3), count('c', 2), count('d', 1), count('e', 1, 'File')];
    expect(new SiteChoice(2).choose(counts)).toEqual([
      count('a', 9),
      count('b', 3),
      count('other', 3),
      count('other', 1, 'File'),
    ]);
  });

  it('joins stacks that lead to one place', () => {
    expect(new SiteChoice(1).choose([count('a', 2), count('b', 3), count('a', 2)])).toEqual([
      count('a', 4),
      count('other', 3),
    ]);
  });

  it('leaves a site its place as long as it has handles', () => {
    const choice = new SiteChoice(1);
    choice.choose([count('early', 1)]);
    expect(choice.choose([count('early', 1), count('late', 100)])).toEqual([count('early', 1), count('other', 100)]);
    expect(choice.choose([count('early', 0), count('late', 100)])).toEqual([count('late', 100)]);
  });

  it('never loses a handle, and never has more series than it may, whatever the counts', () => {
    const choice = new SiteChoice(5);
    for (let round = 0; round < 50; round++) {
      const counts = Array.from({ length: 40 }, (_, index) =>
        count(`site ${(index * 7 + round) % 40}`, (index * 31 + round * 17) % 9, index % 3 === 0 ? 'File' : 'Event'),
      );
      const chosen = choice.choose(counts);
      const sum = (all: readonly SiteCount[]): number => all.reduce((total, each) => total + each.count, 0);
      expect(sum(chosen)).toBe(sum(counts));
      expect(chosen.filter(({ site }) => site !== 'other')).toHaveLength(5);
      expect(chosen.length).toBeLessThanOrEqual(7);
    }
  });
});
