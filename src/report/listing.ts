import { escapeJson, escapeText } from './escape.ts';

/** What a cell of a listing may hold; `undefined`: nothing is known, or there is nothing to say. */
export type Cell = string | number | boolean | undefined;

/**
 * One column of a listing. Its key is the CSV header and the JSON key: there is one list of columns, so that none of
 * the formats can have a header that does not match.
 */
export interface Column<Row> {
  readonly key: string;
  readonly read: (row: Row) => Cell;
}

/** The header line of a CSV listing. */
export function csvHeader<Row>(columns: readonly Column<Row>[]): string {
  return `${columns.map(({ key }) => key).join(',')}\n`;
}

/**
 * Rows as CSV (RFC 4180, but for its line ends: a line feed), names escaped as on a terminal, so that every row is one
 * line. What was escaped cannot be told from what was not: JSON keeps names exactly.
 */
export function formatCsv<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return rows.map((row) => `${columns.map(({ read }) => csvCell(read(row))).join(',')}\n`).join('');
}

const plain = /^[\w|.:\\ >()-]*$/;

/** One cell as CSV has it. */
export function csvCell(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell !== 'string') return String(cell);
  if (plain.test(cell)) return cell;
  const text = escapeText(cell);
  return /[",]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows as NDJSON: a JSON object a line, without the keys that have nothing to say. */
export function formatNdjson<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return escapeJson(rows.map((row) => `${toJson(columns, row)}\n`).join(''));
}

/**
 * Rows as elements of a JSON array, each on a line of its own, with commas between them and before them unless they are
 * the first.
 */
export function formatJsonRows<Row>(columns: readonly Column<Row>[], rows: readonly Row[], isFirst: boolean): string {
  if (rows.length === 0) return '';
  return (isFirst ? '\n    ' : ',\n    ') + escapeJson(rows.map((row) => toJson(columns, row)).join(',\n    '));
}

function toJson<Row>(columns: readonly Column<Row>[], row: Row): string {
  const object: Record<string, Cell> = {};
  for (const { key, read } of columns) {
    const cell = read(row);
    if (cell !== undefined) object[key] = cell;
  }
  return JSON.stringify(object);
}
