import type { Finding } from '../model.ts';
import { type Alike, joinAlike } from './alike.ts';
import { drawAccepted, drawFinding } from './finding-view.ts';
import { plural } from './numbers.ts';
import { type Kind, rank } from './selection.ts';
import { type Brevity, spellSiteOf, type StackView } from './stacks/stack-view.ts';
import { drawSummary, type SummaryRow } from './summary.ts';
import { wrapText } from './text-width.ts';

/** Lines that belong together. An empty line stands between two sections. */
export type Section = readonly string[];

/** At most so many findings have a row in the summary, and so many kinds of those that have none. */
const rowsMax = 24;
const kindsMax = 6;

/** The ways to show findings in detail, the best first. */
const brevities: readonly (Brevity | undefined)[] = [
  undefined,
  { stackRows: 24, sourceContext: 1, handles: 10 },
  { stackRows: 12, sourceContext: 0, handles: 5 },
  { stackRows: 5, sourceContext: 0, handles: 3 },
];

/** The findings that a view shows. */
interface Listed {
  /** New errors and warnings, the worst first. */
  readonly serious: readonly Finding[];
  /** New notes. All of those that a view shows are drawn: the user asked for them. */
  readonly notes: readonly Finding[];
  /** Known and suppressed findings, likewise. */
  readonly accepted: readonly Finding[];
}

/**
 * Draws the findings and their summary. Errors and warnings get a number of lines: all of them in full if there is
 * room, otherwise all of them briefly, otherwise the worst of each kind, and the others as rows of the summary.
 */
export function drawFindings(
  { serious, notes, accepted }: Listed,
  view: StackView,
  linesMax: number,
): readonly Section[] {
  const alike = joinAlike(serious, view);
  const alikeNotes = joinAlike(notes, view);
  const further = [
    ...alikeNotes.map(({ finding, others }) => drawFinding(finding, others, view)),
    ...accepted.map((finding) => drawAccepted(finding, view)),
  ];
  const shown = { alike, all: [...alike, ...alikeNotes], further };
  // Each takes three lines at least: of thousands, none is drawn in vain.
  const mayFit = alike.length * 3 <= linesMax;
  return (mayFit ? drawAll(shown, view, linesMax) : undefined) ?? drawSome(shown, view, linesMax);
}

/** The findings of a view, joined where they read the same. */
interface Shown {
  /** Errors and warnings. */
  readonly alike: readonly Alike[];
  /** With the notes. */
  readonly all: readonly Alike[];
  /** Notes and accepted findings, which are shown in any case. */
  readonly further: readonly Section[];
}

/** How many lines sections take, each with an empty line behind it. */
export function countLines(sections: readonly Section[]): number {
  return sections.reduce((sum, section) => sum + section.length + 1, 0);
}

/** All findings in as much detail as there is room for; `undefined` where there is too little. */
function drawAll({ alike, all, further }: Shown, view: StackView, linesMax: number): readonly Section[] | undefined {
  const rows = joinRows(all);
  // A table with one row would only repeat the finding.
  const summary = rows.length > 1 ? [drawSummary(rows, view)] : [];
  for (const brevity of brevitiesFor(view)) {
    const end = brevity === undefined ? summary : [...summary, drawAdvice('Shown briefly.', view)];
    const how = brevity === undefined ? view : { ...view, brevity };
    const sections: Section[] = [];
    let left = linesMax - countLines(end);
    for (const { finding, others } of alike) {
      const section = drawFinding(finding, others, how);
      left -= section.length + 1;
      if (left < 0) break;
      sections.push(section);
    }
    if (left >= 0) return [...sections, ...further, ...end];
  }
  return undefined;
}

/** The worst findings in detail, and the first of each kind in the summary. */
function drawSome({ alike, all, further }: Shown, view: StackView, linesMax: number): readonly Section[] {
  const rows = joinRows(all);
  const ranked = rank(rows);
  // No kind is without a row as long as there are rows enough.
  const inOrder = [...ranked.filter(({ nth }) => nth === 0), ...ranked.filter(({ nth }) => nth > 0)];
  const rowCount = Math.max(1, Math.min(rowsMax, Math.floor(linesMax / 3)));
  const chosen = new Set(inOrder.slice(0, rowCount).map(({ item }) => item));
  const rest = sumUpKinds(rows.filter((row) => !chosen.has(row)));
  const summary = drawSummary([...rows.filter((row) => chosen.has(row)), ...rest], view);
  const total = countFindings(alike);
  const advise = (count: number): Section =>
    drawAdvice(`Shown in detail: ${count} of ${plural(total, 'finding')}, the worst first.`, view);
  const brevity = brevitiesFor(view).at(-1);
  const how = brevity === undefined ? view : { ...view, brevity };
  const drawn = new Map<Alike, Section>();
  // The largest number takes the most lines.
  let left = linesMax - countLines([summary, advise(total)]);
  const worst = rank(alike.map((each) => ({ ...kindOf(each), each })));
  for (const { each } of worst.map(({ item }) => item)) {
    const section = drawFinding(each.finding, each.others, how);
    left -= section.length + 1;
    if (left < 0 && drawn.size > 0) break;
    drawn.set(each, section);
  }
  const detailed = alike.filter((each) => drawn.has(each));
  return [...detailed.map((each) => drawn.get(each)!), ...further, summary, advise(countFindings(detailed))];
}

/** Whole stacks are not cut: the user asked for them. */
function brevitiesFor({ options }: StackView): readonly (Brevity | undefined)[] {
  return options.showSystemFrames === true ? [undefined] : brevities;
}

function countFindings(alike: readonly Alike[]): number {
  return alike.reduce((sum, { others }) => sum + others + 1, 0);
}

function drawAdvice(text: string, { theme, width }: StackView): Section {
  return wrapText(`${text} --all shows each finding in full.`, width).map((line) => theme.dim(line));
}

function kindOf({ finding: { level, rule, object } }: Alike): Required<Kind> {
  return { level, rule, type: object.type };
}

/** A row for each place. */
function joinRows(alike: readonly Alike[]): readonly SummaryRow[] {
  return addUp(
    alike.map((each) => {
      const { stacks, count } = each.finding;
      const site = spellSiteOf(stacks.offending ?? stacks.opened);
      return { ...kindOf(each), site, count, findings: each.others + 1 };
    }),
  );
}

/** A row for each kind, or where they are too many, one for each level. */
function sumUpKinds(rows: readonly SummaryRow[]): readonly SummaryRow[] {
  const kinds = addUp(rows.map(({ site: _site, ...row }) => row));
  return kinds.length <= kindsMax
    ? kinds
    : addUp(kinds.map(({ level, count, findings }) => ({ level, count, findings })));
}

/** Rows that differ only in their numbers become one. */
function addUp(rows: readonly SummaryRow[]): readonly SummaryRow[] {
  const sums = new Map<string, SummaryRow>();
  for (const row of rows) {
    const key = JSON.stringify([row.level, row.rule, row.type, row.site]);
    const { count = 0, findings = 0 } = sums.get(key) ?? {};
    sums.set(key, { ...row, count: count + row.count, findings: findings + row.findings });
  }
  return [...sums.values()];
}
