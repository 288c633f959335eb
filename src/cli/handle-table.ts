import { Chalk } from 'chalk';

import { describeMeaning, type ListedHandle, type ListedProcess } from '../handles/list.ts';
import type { ProcessInfo } from '../process/processes.ts';
import { escapeText } from '../text/escape.ts';
import { padText } from '../report/text-width.ts';
import { formatHandle, type ProcessCount, spellAttributes, type TypeCount } from './handle-columns.ts';
import type { OutputDescription } from './screen/terminal.ts';

/** A wider access mask sticks out of its column; otherwise it would push all names of the table out of sight. */
const ACCESS_WIDTH_MAX = 40;

/**
 * Draws handles for a person: a heading for each process, and a line for each handle. The name comes last and is never
 * cut, so that it can be searched for. Handles arrive in batches, and each batch has columns as wide as it needs.
 */
export class HandleTableView {
  readonly #chalk: InstanceType<typeof Chalk>;
  readonly #processes = new Map<number, ListedProcess>();
  #headed: ProcessInfo | undefined;
  #isFirst = true;

  constructor({ colorLevel }: Pick<OutputDescription, 'colorLevel'>) {
    this.#chalk = new Chalk({ level: colorLevel });
  }

  /** Remembers a process for its heading. */
  addProcess(listed: ListedProcess): void {
    this.#processes.set(listed.process.processId, listed);
  }

  drawRows(rows: readonly ListedHandle[]): string {
    const cells = rows.map((row) => {
      return {
        row,
        value: formatHandle(row.value),
        type: row.description?.object.type ?? row.kind.type,
        attributes: spellAttributes(row.kind),
      };
    });
    const widest = (texts: (cell: (typeof cells)[number]) => string): number =>
      cells.reduce((width, cell) => Math.max(width, texts(cell).length), 0);
    const valueWidth = widest(({ value }) => value);
    const typeWidth = widest(({ type }) => type);
    const accessWidth = Math.min(
      widest(({ row }) => row.kind.accessText),
      ACCESS_WIDTH_MAX,
    );
    const attributesWidth = widest(({ attributes }) => attributes);
    let text = '';
    for (const { row, value, type, attributes } of cells) {
      if (this.#headed !== row.process) text += this.#drawHeading(row.process);
      // If the process cannot be opened, its heading says so once.
      const isDenied = this.#processes.get(row.process.processId)?.problem !== undefined;
      const meaning = row.description === undefined || isDenied ? '' : describeMeaning(row.description);
      const line = [
        value.padStart(valueWidth),
        padText(escapeText(type), typeWidth),
        attributesWidth === 0
          ? row.kind.accessText.padEnd(accessWidth)
          : `${row.kind.accessText.padEnd(accessWidth)}  ${attributes}`.padEnd(accessWidth + 2 + attributesWidth),
        row.description?.nameProblem === undefined ? escapeText(meaning) : this.#chalk.yellow(escapeText(meaning)),
      ];
      text += `  ${line.join('  ').trimEnd()}\n`;
    }
    return text;
  }

  #drawHeading(process: ProcessInfo): string {
    this.#headed = process;
    const listed = this.#processes.get(process.processId);
    const count = listed === undefined ? '' : `  ${this.#chalk.dim(countHandles(listed.handleCount))}`;
    const problem =
      listed?.problem === undefined ? '' : `  ${this.#chalk.yellow(`cannot be opened: ${listed.problem}`)}`;
    const space = this.#isFirst ? '' : '\n';
    this.#isFirst = false;
    return `${space}${this.#chalk.bold(labelProcess(process))}${count}${problem}\n`;
  }
}

/**
 * Draws the counts of each type, the most frequent first, under a heading for each process; with several processes,
 * their sum, too.
 */
export function drawTypeCounts(
  counts: readonly TypeCount[],
  { colorLevel }: Pick<OutputDescription, 'colorLevel'>,
): string {
  const chalk = new Chalk({ level: colorLevel });
  const sections: string[] = [];
  const total = new Map<string, number>();
  for (const process of new Set(counts.map((count) => count.process))) {
    const ofProcess = counts.filter((count) => count.process === process);
    sections.push(drawSection(labelProcess(process), ofProcess, chalk));
    for (const { type, count } of ofProcess) total.set(type, (total.get(type) ?? 0) + count);
  }
  if (sections.length > 1) {
    const sorted = [...total].map(([type, count]) => ({ type, count })).sort((a, b) => b.count - a.count);
    sections.push(drawSection(`all ${sections.length} processes`, sorted, chalk));
  }
  return sections.join('\n');
}

function drawSection(
  label: string,
  counts: readonly { readonly type: string; readonly count: number }[],
  chalk: InstanceType<typeof Chalk>,
): string {
  const sum = counts.reduce((all, { count }) => all + count, 0);
  const width = Math.max(...counts.map(({ count }) => count.toLocaleString('en').length));
  const lines = counts.map(
    ({ type, count }) => `  ${count.toLocaleString('en').padStart(width)}  ${escapeText(type)}\n`,
  );
  return `${chalk.bold(label)}  ${chalk.dim(countHandles(sum))}\n${lines.join('')}`;
}

/** Counts per process, the most handles first, and their sum where there are several. */
export function drawProcessCounts(
  counts: readonly ProcessCount[],
  { colorLevel }: Pick<OutputDescription, 'colorLevel'>,
): string {
  const chalk = new Chalk({ level: colorLevel });
  const sum = counts.reduce((all, { count }) => all + count, 0);
  const width = sum.toLocaleString('en').length;
  const lines = counts
    .toSorted((a, b) => b.count - a.count)
    .map(({ process, count }) => `${count.toLocaleString('en').padStart(width)}  ${labelProcess(process)}\n`);
  return lines.join('') + chalk.bold(`${sum.toLocaleString('en').padStart(width)}  all ${counts.length} processes\n`);
}

/** `app.exe (4242)`, escaped. */
export function labelProcess({ name, processId }: ProcessInfo): string {
  return `${escapeText(name)} (${processId})`;
}

/** `1 handle`, `1,234 handles`. */
export function countHandles(count: number): string {
  return count === 1 ? '1 handle' : `${count.toLocaleString('en')} handles`;
}
