import { Option } from 'commander';

import type { Column } from '../report/listing.ts';
import { csvHeader, formatCsv, formatJsonRows, formatNdjson } from '../report/listing.ts';
import { escapeJson } from '../text/escape.ts';
import { write } from './screen/terminal.ts';

/** The options that choose the format of a listing. Without any of them it is a table. */
export interface FormatOptions {
  readonly json?: true;
  readonly csv?: true;
  readonly ndjson?: true;
}

/** One way to print the rows of a listing as they come. */
interface ListingOutput<Row> {
  begin(): void;
  /** @returns whether the output is still read */
  rows(rows: readonly Row[]): boolean;
  /** @param rest further keys of a JSON document, beside its rows */
  end(rest: Readonly<Record<string, unknown>>): void;
}

/** The options of {@link FormatOptions}, each of which excludes the others. */
export function formatOptions(): readonly Option[] {
  return [
    new Option('--json', 'print one JSON document').conflicts(['csv', 'ndjson']),
    new Option('--csv', 'print comma-separated values with a header line').conflicts(['json', 'ndjson']),
    new Option('--ndjson', 'print a line of JSON for each row, as soon as it is known').conflicts(['json', 'csv']),
  ];
}

/**
 * The machine-readable output that the options choose; `undefined` for a table.
 *
 * @param rowsKey the key of the rows in a JSON document
 * @param toCsv a quicker way to the same text
 */
export function chooseOutput<Row>(
  options: FormatOptions,
  rowsKey: string,
  columns: readonly Column<Row>[],
  toCsv: (rows: readonly Row[]) => string = (rows) => formatCsv(columns, rows),
): ListingOutput<Row> | undefined {
  if (options.csv)
    return { begin: () => void write(1, csvHeader(columns)), rows: (rows) => write(1, toCsv(rows)), end: () => {} };
  if (options.ndjson) return { begin: () => {}, rows: (rows) => write(1, formatNdjson(columns, rows)), end: () => {} };
  if (!options.json) return undefined;
  let isFirst = true;
  return {
    begin: () => void write(1, `{\n  "schemaVersion": 1,\n  "${rowsKey}": [`),
    rows(rows) {
      const text = formatJsonRows(columns, rows, isFirst);
      isFirst &&= rows.length === 0;
      return write(1, text);
    },
    end(rest) {
      const keys = Object.entries(rest).map(
        ([key, value]) => `,\n  ${JSON.stringify(key)}: ${escapeJson(JSON.stringify(value))}`,
      );
      write(1, `${isFirst ? '' : '\n  '}]${keys.join('')}\n}\n`);
    },
  };
}
