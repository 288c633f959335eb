import { expect, it } from 'vitest';

import { nearestName } from '../../../src/text/nearest.ts';

const names = ['failOn', 'requireComplete', 'rules', 'baseline', 'leak', 'double-close'];

it.each([
  ['failon', 'failOn'],
  ['fail-on', 'failOn'],
  ['FAILON', 'failOn'],
  ['rule', 'rules'],
  ['base-line', 'baseline'],
  ['basleine', 'baseline'],
  ['lek', 'leak'],
  ['doubleclose', 'double-close'],
])('takes %s for %s', (word, name) => {
  expect(nearestName(word, names)).toBe(name);
});

it.each(['', 'x', 'symbols', 'zzzzzz', 'x'.repeat(1_000_000)])('takes %.10s for nothing', (word) => {
  expect(nearestName(word, names)).toBeUndefined();
});

it('takes the first of several that are as near', () => {
  expect(nearestName('cat', ['car', 'cap'])).toBe('car');
});
