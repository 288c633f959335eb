import { expect, it } from 'vitest';

import { isDay, spellDay } from '../../../src/text/day.ts';

it.each(['2027-01-31', '2028-02-29', '0999-12-01'])('%s is a day', (text) => {
  expect(isDay(text)).toBe(true);
});

it.each(['', '2027-1-31', '2027-02-29', '2027-02-30', '2027-13-01', '2027-00-10', '31.01.2027', '2027-01-31 ', 'soon'])(
  '%j is none',
  (text) => {
    expect(isDay(text)).toBe(false);
  },
);

it('a moment belongs to its day in UTC', () => {
  expect(spellDay(new Date('2027-01-31T23:59:59.999Z'))).toBe('2027-01-31');
  expect(spellDay(new Date('2027-01-31T23:30:00-01:00'))).toBe('2027-02-01');
});
