import { describe, expect, it } from 'vitest';

import { positionsAt, type SourceTable } from '../../../../src/symbols/v8/positions.ts';
import { randomNumbers } from '../../report/hostile.ts';

const table = (positions: string, more: Partial<SourceTable> = {}): SourceTable => ({
  scriptId: 1,
  start: 0,
  positions,
  inlined: '',
  functions: '',
  ...more,
});

describe('the place of an offset', () => {
  it('is that of the last entry at or before it that has one, in any table', () => {
    const random = randomNumbers(11);
    for (let round = 0; round < 200; round++) {
      let offset = random(5);
      const entries = Array.from({ length: random(60) }, (_, index) => {
        offset += random(4);
        return { offset, position: random(6) === 0 ? -1 : index * 10 ** random(5) };
      });
      const { positions } = table(entries.map((entry) => `C${entry.offset}O${entry.position}`).join(''));
      for (let asked = 0; asked <= offset + 2; asked++) {
        const last = entries.findLast((entry) => entry.offset <= asked && entry.position >= 0);
        const places = last === undefined ? [] : [{ position: last.position }];
        expect(positionsAt(table(positions), asked), `${positions} at ${asked}`).toEqual(places);
      }
    }
  });

  it('has the functions that were inlined there first', () => {
    const inlined = table('C0O5C8O30I1C16O6', { inlined: 'F0O10F1O20I0', functions: 'S0xAAS0xbb' });
    expect(positionsAt(inlined, 12)).toEqual([
      { position: 30, inlinedFunction: '0xbb' },
      { position: 20, inlinedFunction: '0xaa' },
      { position: 10 },
    ]);
    expect(positionsAt(inlined, 16)).toEqual([{ position: 6 }]);
  });
});

describe('a table that was made to take time', () => {
  const long = Array.from({ length: 1_000_000 }, (_, index) => `C${index * 2}O${index}`).join('');

  it('is searched a thousand times at once', () => {
    for (let asked = 1_990_000; asked < 2_000_000; asked += 10)
      expect(positionsAt(table(long), asked)).toEqual([{ position: asked / 2 }]);
  });

  it.each([
    ['nothing but beginnings', 'C'.repeat(1 << 24)],
    ['one number without end', `C${'1'.repeat(1 << 24)}`],
    ['no entry', 'x'.repeat(1 << 24)],
  ])('may have %s', (_, positions) => {
    for (let asked = 0; asked < 100; asked++) expect(positionsAt(table(positions), asked)).toEqual([]);
  });

  it('may have inlined functions without end', () => {
    const inlined = table('C0O1I0', { inlined: 'x'.repeat(1 << 24), functions: 'S'.repeat(1 << 24) });
    for (let asked = 0; asked < 20; asked++) expect(positionsAt(inlined, asked)).toEqual([{ position: 1 }]);
  });
});
