import type { Report } from '../../model.ts';
import { countLines, drawFindings, type Section } from '../choice.ts';
import { spellCompleteness, spellGap } from '../gaps.ts';
import { spellCommand, spellFacts } from '../sections/head.ts';
import { drawBaseline } from '../sections/baseline.ts';
import { drawMissingNames } from '../sections/missing-names.ts';
import { drawProcesses } from '../sections/processes.ts';
import type { Reporter } from '../reporter.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { drawSuppressions } from '../sections/suppressions.ts';
import { reachVerdict } from '../sections/verdict.ts';
import { cutLines, wrapBullet, wrapText } from '../text-width.ts';
import { createView } from '../view.ts';

/** A report that shows everything may be of any length; any other has at most so many lines. */
const linesMax = 100;

/** The parts of a report that are no findings have at most so many lines each. */
const headLinesMax = 3;
const listLinesMax = 12;

/**
 * The report for a person at a terminal: findings with their stacks, a summary, what could not be seen, the verdict.
 */
export const table: Reporter = (report, options) => {
  const view = createView(report, options);
  const { serious, notes, known, suppressed } = selectFindings(report);
  const shownNotes = options.showNotes === true ? notes : [];
  const accepted = options.showSuppressed === true ? [...known, ...suppressed] : [];
  const head = drawHead(report, view);
  const tail: readonly Section[] = [
    limit(drawProcesses(report, view), view),
    limit(drawSuppressions(report, view), view),
    limit(drawBaseline(report, view), view),
    limit(drawMissingNames(report, serious, view), view),
    limit(drawCompleteness(report, view), view),
    drawVerdict(report, view),
  ].filter((section) => section.length > 0);
  const room = options.showAll === true ? Number.POSITIVE_INFINITY : linesMax - countLines([head, ...tail]) + 1;
  const drawn = drawFindings({ serious, notes: shownNotes, accepted }, view, room);
  // Where there is nothing else to say, the report is one paragraph.
  const sections = drawn.length === 0 && tail.length === 1 ? [[...head, ...tail[0]!]] : [head, ...drawn, ...tail];
  return `${sections.map((section) => section.join('\n')).join('\n\n')}\n`;
};

/** A section that is not part of the findings, as long as it may be. */
function limit(section: Section, { theme, options }: StackView): Section {
  if (options.showAll === true || section.length <= listLinesMax) return section;
  const hidden = section.length - listLinesMax + 1;
  return [...section.slice(0, listLinesMax - 1), theme.dim(`  ${theme.signs.ellipsis} ${hidden} more lines (--all)`)];
}

function drawHead(report: Report, { theme, options, width }: StackView): Section {
  const { tool } = report;
  const command = theme.escape([tool.name, tool.version, spellCommand(report)].join(' '));
  const lines = options.showAll
    ? wrapText(command, width)
    : cutLines(wrapText(command, width), headLinesMax, width, theme.signs.ellipsis);
  const name = theme.escape(tool.name);
  const [first = '', ...others] = lines;
  const head = first.startsWith(name) ? theme.strong(name) + first.slice(name.length) : first;
  return [head, ...others, ...wrapText(spellFacts(report).join(', '), width).map((line) => theme.dim(line))];
}

/** A complete report without anything to know needs no words about that: the verdict shows it. */
function drawCompleteness({ completeness }: Report, { theme, width }: StackView): Section {
  const { complete, gaps } = completeness;
  if (complete && gaps.length === 0) return [];
  const paint = complete ? theme.dim : theme.level.warning;
  return [
    ...wrapText(spellCompleteness(completeness), width).map((line) => paint(line)),
    ...gaps.flatMap((gap) => wrapBullet(theme.escape(spellGap(gap)), theme.signs.bullet, width)),
  ];
}

/** The last line. */
function drawVerdict(report: Report, { theme, options, width }: StackView): Section {
  const { outcome, text } = reachVerdict(report, options);
  const [sign, paint] = {
    errors: [theme.signs.bad, theme.level.error] as const,
    warnings: [theme.signs.bad, theme.level.warning] as const,
    clean: [theme.signs.good, theme.good] as const,
    unsure: ['?', theme.level.warning] as const,
  }[outcome];
  return wrapText(`${sign} ${theme.escape(text)}`, width).map((line) => theme.strong(paint(line)));
}
