import { describe, expect, it } from 'vitest';

import type { OpenOverTime, Report } from '../../../../src/model.ts';
import { html } from '../../../../src/report/formats/html.ts';
import { sample } from '../sample.ts';
import { type PageElement, parsePage, selectIn } from './parsed-page.ts';

/** The section of a page with these counts, by the names of the types. */
function drawTime(counts: Readonly<Record<string, readonly number[]>>, timesMs: readonly number[], base = sample) {
  const openOverTime: OpenOverTime = {
    timesMs,
    types: Object.entries(counts).map(([type, each]) => ({ type, counts: each })),
  };
  const report: Report = { ...base, openOverTime };
  const page = parsePage(html(report, { colorLevel: 0, columns: 80 }));
  return page.select('section').find(({ attributes }) => attributes['id'] === 'time');
}

const squeeze = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** The rows of a table, with a bar between two cells. */
function rowsIn(table: PageElement): readonly string[] {
  return selectIn(table, 'tr').map((row) =>
    row.all
      .filter(({ tag, text }) => (tag === 'th' || tag === 'td') && squeeze(text) !== '')
      .map(({ text }) => squeeze(text))
      .join(' | '),
  );
}

function rowsOf(section: PageElement | undefined): readonly string[] {
  return rowsIn(selectIn(section!, 'table.time')[0]!).slice(1);
}

const seconds = [0, 500, 1000];

describe('the open handles over time', () => {
  it('have a row for all types and for each that changes, those that grew most first', () => {
    const section = drawTime({ Process: [0, 2, 0], Event: [1, 4, 4], Key: [3, 3, 3], Thread: [1, 1, 8] }, seconds);
    expect(rowsOf(section)).toEqual([
      'all types | 5 | 15 | 15',
      'Thread | 1 | 8 | 8',
      'Event leaks | 1 | 4 | 4',
      'Process | 0 | 2 | 0',
    ]);
    expect(squeeze(section!.text)).toContain('Without a change: 3 Key.');
  });

  it('say in words what each drawing shows', () => {
    const section = drawTime({ Process: [0, 2, 0] }, seconds);
    const labels = selectIn(section!, 'svg').map(({ attributes }) => [attributes['role'], attributes['aria-label']]);
    expect(labels).toEqual([
      ['img', 'all types: 0 at first, at most 2 at 0.50 s, 0 at last'],
      ['img', 'Process: 0 at first, at most 2 at 0.50 s, 0 at last'],
    ]);
  });

  it('are drawn as steps: a count holds until the next one', () => {
    const section = drawTime({ Process: [0, 2, 1] }, seconds);
    const [edge] = selectIn(section!, 'path.edge');
    expect(edge?.attributes['d']).toBe('M0 100H500V6H1000V53');
  });

  it.each([
    [
      [0, 250, 9_990],
      ['0 s', '0.25 s', '9.99 s'],
    ],
    [
      [0, 2_500, 99_900],
      ['0 s', '2.5 s', '99.9 s'],
    ],
    [
      [0, 90_000, 7_200_000],
      ['0 s', '1 min 30 s', '2 h'],
    ],
  ])('have their figures as a table, too, with moments as fine as the run is short: %j', (timesMs, moments) => {
    const section = drawTime({ File: [1, 1234, 7] }, timesMs);
    const [details] = selectIn(section!, 'details.figures');
    const figures = ['1', '1,234', '7'];
    expect(rowsIn(details!)).toEqual([
      'after | all types | File',
      ...moments.map((each, row) => `${each} | ${figures[row]} | ${figures[row]}`),
    ]);
  });

  it('have at most 20 rows of figures, with the first and the last', () => {
    const timesMs = Array.from({ length: 200 }, (_, moment) => moment * 10);
    const section = drawTime({ File: timesMs }, timesMs);
    const [details] = selectIn(section!, 'details.figures');
    const moments = selectIn(details!, 'th')
      .filter(({ attributes }) => attributes['scope'] === 'row')
      .map(({ text }) => text);
    expect([moments.length, moments[0], moments.at(-1)]).toEqual([20, '0 s', '1.99 s']);
    expect(squeeze(details!.text)).toContain('The figures at 20 moments');
  });

  it('have at most 24 types with a drawing', () => {
    const types = Object.fromEntries(Array.from({ length: 30 }, (_, each) => [`Type${each}`, [0, 100 - each]]));
    const rows = rowsOf(drawTime(types, [0, 10]));
    expect(rows).toHaveLength(26);
    expect(rows.at(-1)).toBe('… 6 more types; the JSON report has them all');
  });

  it.each<[string, Readonly<Record<string, readonly number[]>>, readonly number[]]>([
    ['of one moment', { File: [3] }, [0]],
    ['of nothing', { File: [0, 0] }, [0, 10]],
    ['without a type', {}, [0, 10]],
  ])('are left out where they are those %s', (_title, counts, timesMs) => {
    expect(drawTime(counts, timesMs)).toBeUndefined();
  });

  it('are left out where they were not counted', () => {
    const page = parsePage(html(sample, { colorLevel: 0, columns: 80 }));
    expect(page.select('table.time')).toEqual([]);
  });
});
