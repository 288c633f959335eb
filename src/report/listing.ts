import { escapeJson, escapeText } from '../text/escape.ts';

/** A cell of a listing; `undefined` when nothing is known, or there is nothing to say. */
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
 * Rows as CSV (RFC 4180, but for its line ends: a line feed). Text is escaped as on a terminal, so that every row is
 * one line, and cannot become a formula of a spreadsheet: see {@link csvCell}. Escaped text looks like text that had
 * the backslashes from the beginning: only JSON keeps names exactly.
 */
export function formatCsv<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return rows.map((row) => `${columns.map(({ read }) => csvCell(read(row))).join(',')}\n`).join('');
}

/** Nearly all texts need no more than this look. */
const plain = /^(?![- ])[\w|.:\\ >()-]*(?<! )$/;

/** How a formula begins, also in the wide forms of East Asia. https://owasp.org/www-community/attacks/CSV_Injection */
const formula = /^\s*[=+\-@＝＋－＠]/;

/**
 * One cell as CSV has it.
 *
 * A text that a spreadsheet would take for a formula is quoted and begins with an apostrophe, by which it stays a text.
 * A number is this tool's own, not a target's, and stays a number, also below zero.
 */
export function csvCell(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell !== 'string') return String(cell);
  if (plain.test(cell)) return cell;
  const text = escapeText(cell);
  const shown = formula.test(text) ? `'${text}` : text;
  // A spreadsheet may take a semicolon for a comma, by its language.
  return /[",;]/.test(shown) || shown !== text || text !== text.trim() ? `"${shown.replaceAll('"', '""')}"` : shown;
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
