import { describe, expect, it } from 'vitest';

import type { Finding, Report, Stack } from '../../../../src/model.ts';
import { html } from '../../../../src/report/formats/html.ts';
import { sample } from '../sample.ts';
import { stack } from '../../analyze/evidence.ts';
import { type PageElement, parsePage, selectIn } from './parsed-page.ts';
import { makeLarge } from './reports.ts';

const [leak] = sample.findings.filter(({ rule }) => rule === 'leak') as unknown as readonly [Finding];

/** A leak of so many handles. */
function leakOf(count: number, fingerprint: string, opened: Stack): Finding {
  return { ...leak, count, fingerprint, stacks: { opened } };
}

interface Box {
  readonly title: string;
  readonly left: number;
  readonly width: number;
  readonly row: number;
  readonly href: string | undefined;
}

/** The boxes of a report's graph, but for the one of the whole. */
function boxesOf(findings: readonly Finding[]): readonly Box[] {
  const report: Report = { ...sample, findings };
  const page = parsePage(html(report, { colorLevel: 0, columns: 80 }));
  const [graph] = page.select('svg.flame');
  return graph === undefined ? [] : [...selectIn(graph, 'a'), ...selectIn(graph, 'g')].map(toBox);
}

function toBox(element: PageElement): Box {
  const [box] = selectIn(element, 'svg');
  return {
    title: selectIn(element, 'title')[0]?.text ?? '',
    left: Number.parseFloat(box?.attributes['x'] ?? ''),
    width: Number.parseFloat(box?.attributes['width'] ?? ''),
    row: Number(box?.attributes['y']) / 22,
    href: element.attributes['href'],
  };
}

describe('the graph of what is open', () => {
  const boxes = boxesOf([
    leakOf(6, 'aa', stack('kernelbase!CreateFileW', 'app!open_log @C:\\log.c:4', 'app!main @C:\\main.c:10')),
    leakOf(2, 'bb', stack('kernelbase!CreateEventW', 'app!wait @C:\\wait.c:9', 'app!main @C:\\main.c:12')),
    leakOf(2, 'cc', []),
  ]);

  it('has a box for each function, as wide as the handles below it, callers above', () => {
    expect(boxes.map(({ title, left, width, row }) => [row, left, width, title])).toEqual([
      [1, 0, 80, 'main C:\\main.c: 8 handles, 80 %'],
      [2, 0, 60, 'open_log C:\\log.c:4: 6 handles, 60 %'],
      [3, 0, 60, 'CreateFileW kernelbase.dll: 6 handles, 60 %'],
      [4, 0, 60, '6 Event handles: 6 handles, 60 %'],
      [2, 60, 20, 'wait C:\\wait.c:9: 2 handles, 20 %'],
      [3, 60, 20, 'CreateEventW kernelbase.dll: 2 handles, 20 %'],
      [4, 60, 20, '2 Event handles: 2 handles, 20 %'],
      [1, 80, 20, 'no stack could be walked: 2 handles, 20 %'],
      [2, 80, 20, '2 Event handles: 2 handles, 20 %'],
    ]);
  });

  it('leads from each box to the card of the largest leak below it', () => {
    expect(boxes.map(({ href }) => href)).toEqual([
      ...['aa', 'aa', 'aa', 'aa', 'bb', 'bb', 'bb', 'cc', 'cc'].map((fingerprint) => `#finding-${fingerprint}`),
    ]);
  });

  it('joins boxes that are too narrow to be seen', () => {
    const narrow = Array.from({ length: 50 }, (_, index) =>
      leakOf(1, `${index}`, stack('kernelbase!CreateEventW', `app!f${index}`, 'app!main')),
    );
    const wide = leakOf(99_950, 'ff', stack('kernelbase!CreateEventW', 'app!wide', 'app!main'));
    expect(boxesOf([wide, ...narrow]).at(-1)?.title).toBe('… 50 more: 50 handles, 0.1 %');
  });

  it('shows the ends of a deep stack', () => {
    const all = boxesOf(makeLarge(2, 90).findings.slice(1));
    expect(Math.max(...all.map(({ row }) => row))).toBe(41);
    expect(all.map(({ title }) => title.split(':')[0])).toContain('… 32 more rows');
    expect(all.map(({ title }) => title.split(' ')[0])).toContain('site_1');
  });

  it('has no more boxes than a browser can take', () => {
    expect(boxesOf(makeLarge(700, 30).findings).length).toBeLessThan(1500);
  });

  it('is left out where nothing is left open', () => {
    expect(boxesOf(sample.findings.filter(({ rule }) => rule !== 'leak'))).toEqual([]);
  });
});
