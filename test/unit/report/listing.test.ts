import { describe, expect, it } from 'vitest';

import {
  type Cell,
  type Column,
  csvCell,
  csvHeader,
  formatCsv,
  formatJsonRows,
  formatNdjson,
} from '../../../src/report/listing.ts';

interface Row {
  readonly pid: number;
  readonly name?: string;
  readonly ended?: boolean;
}

const columns: readonly Column<Row>[] = [
  { key: 'pid', read: ({ pid }) => pid },
  { key: 'name', read: ({ name }) => name },
  { key: 'ended', read: ({ ended }) => ended },
];

/** The cells of a CSV text by RFC 4180, as a program reads it. */
function parseCsv(text: string): readonly (readonly string[])[] {
  expect(text).toMatch(/\n$/);
  const rows: string[][] = [];
  for (let at = 0; at < text.length; ) {
    const row: string[] = [];
    for (let end = ''; end !== '\n'; ) {
      const cell = /^(?:"((?:[^"]|"")*)"|([^",\n]*))([,\n])/.exec(text.slice(at));
      expect(cell, text.slice(at)).not.toBeNull();
      row.push(cell![2] ?? cell![1]!.replaceAll('""', '"'));
      end = cell![3]!;
      at += cell![0].length;
    }
    rows.push(row);
  }
  return rows;
}

describe('CSV', () => {
  it('has a header and a line for each row, with empty cells for what is not known', () => {
    const rows = [{ pid: 4, name: 'a.exe', ended: true }, { pid: 8 }];
    expect(csvHeader(columns) + formatCsv(columns, rows)).toBe('pid,name,ended\n4,a.exe,true\n8,,\n');
  });

  it('of no rows is empty', () => {
    expect(formatCsv(columns, [])).toBe('');
  });

  it.each([
    ['a comma', 'a,b'],
    ['quotes', 'say "a"'],
    ['nothing but a quote', '"'],
    ['a semicolon', 'a;b'],
    ['spaces at its ends', ' a '],
    ['backslashes', 'C:\\logs\\a.log'],
    ['an apostrophe', "it's"],
    ['letters of any language', 'größe 日本'],
    ['a sign of a formula that is not its first', 'a=b+c-d@e'],
  ])('gives back a name with %s', (_, name) => {
    expect(parseCsv(formatCsv(columns, [{ pid: 4, name }]))).toEqual([['4', name, '']]);
  });

  it.each([
    ['a line feed', 'a\nb', 'a\\nb'],
    ['a carriage return', 'a\rb', 'a\\rb'],
    ['a tab at its beginning', '\t=1+1', '\\t=1+1'],
    ['a carriage return at its beginning', '\r=1+1', '\\r=1+1'],
    ['an escape sequence', 'a\x1b[2J', 'a\\x1b[2J'],
    ['a change of direction', 'a\u202eb', 'a\\u{202e}b'],
    ['half of a surrogate pair', 'a\ud800', 'a\\u{d800}'],
    ['a line feed that would end the row, and quotes', '",\n5,', '",\\n5,'],
  ])('shows a name with %s on its own line', (_, name, shown) => {
    const text = formatCsv(columns, [{ pid: 4, name }]);
    expect(text.match(/\n/g)).toHaveLength(1);
    expect(parseCsv(text)).toEqual([['4', shown, '']]);
  });

  it.each([
    ['an equals sign', "=cmd|' /C calc'!A0"],
    ['a plus sign', '+1+1'],
    ['a minus sign', '-1+1'],
    ['a minus sign and nothing else that is special', '-2'],
    ['an at sign', '@SUM(1)'],
    ['spaces and an equals sign', '  =1+1'],
    ['a wide equals sign', '＝1+1'],
    ['a wide at sign', '＠SUM(1)'],
    ['an equals sign, with quotes and a comma', '=HYPERLINK("http://x","y")'],
  ])('makes no formula of a name that begins with %s', (_, name) => {
    const text = formatCsv(columns, [{ pid: 4, name }]);
    expect(text).toMatch(/^4,"'/);
    expect(parseCsv(text)).toEqual([['4', `'${name}`, '']]);
  });

  it('starts no cell at a semicolon, by which some spreadsheets part cells', () => {
    expect(csvCell('a;=1+1')).toBe('"a;=1+1"');
  });

  it.each<[string, Cell, string]>([
    ['a number', 4, '4'],
    ['a number below zero', -1_073_741_819, '-1073741819'],
    ['a truth value', false, 'false'],
    ['nothing', undefined, ''],
  ])('leaves %s as it is', (_, cell, text) => {
    expect(csvCell(cell)).toBe(text);
  });
});

describe('rows as JSON', () => {
  const rows: readonly Row[] = [{ pid: 4, name: 'a\u202eb', ended: true }, { pid: 8 }];

  it('are an object a line, without the keys that have nothing to say', () => {
    const text = formatNdjson(columns, rows);
    expect(text).toBe('{"pid":4,"name":"a\\u202eb","ended":true}\n{"pid":8}\n');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(rows);
  });

  it('are elements of one array, however many parts they come in', () => {
    const parts = [rows.slice(0, 1), [], rows.slice(1), rows];
    const texts = parts.map((each, index) => formatJsonRows(columns, each, index === 0));
    expect(JSON.parse(`[${texts.join('')}]`)).toEqual(parts.flat());
  });
});
