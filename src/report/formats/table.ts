import type { Finding, Level, Report } from '../../model.ts';
import { spellDuration } from '../../text/duration.ts';
import { countLines, drawFindings, type Section } from '../choice.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { spellGap } from '../gaps.ts';
import { drawBaseline } from '../sections/baseline.ts';
import { drawMissingNames } from '../sections/missing-names.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import { drawProcesses } from '../sections/processes.ts';
import type { Reporter } from '../reporter.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stack-view.ts';
import { createView } from '../view.ts';
import { drawSuppressions } from '../sections/suppressions.ts';
import { cutLines, wrapBullet, wrapText } from '../text-width.ts';

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

function drawHead({ tool, target, runs, stats }: Report, { theme, options, width }: StackView): Section {
  const command = theme.escape([tool.name, tool.version, target.command.map(quoteArgument).join(' ')].join(' '));
  const lines = options.showAll
    ? wrapText(command, width)
    : cutLines(wrapText(command, width), headLinesMax, width, theme.signs.ellipsis);
  const name = theme.escape(tool.name);
  const facts = [
    ...(runs === undefined ? [] : [spellRuns(runs)]),
    `pid ${target.pid}`,
    target.exitCode === undefined ? 'still running' : `exited with ${spellExitCode(target.exitCode)}`,
    spellDuration(stats.durationMs),
    `${spellNumber(stats.opens)} handles opened, ${spellNumber(stats.closes)} closed, ${spellNumber(stats.openHandles)} open`,
    ...(stats.iterations === undefined ? [] : [`${plural(stats.iterations, 'iteration')} marked`]),
  ];
  const [first = '', ...others] = lines;
  const head = first.startsWith(name) ? theme.strong(name) + first.slice(name.length) : first;
  return [head, ...others, ...wrapText(facts.join(', '), width).map((line) => theme.dim(line))];
}

/** `5 runs, 2 of which failed`; what follows in the head is of one of them. */
function spellRuns(runs: NonNullable<Report['runs']>): string {
  const failed = runs.filter(({ exitCode }) => exitCode !== 0).length;
  return `${plural(runs.length, 'run')}${failed === 0 ? '' : `, ${failed} of which failed`}`;
}

function quoteArgument(argument: string): string {
  return argument === '' || /[\s"]/.test(argument) ? `"${argument.replaceAll('"', '\\"')}"` : argument;
}

/** A complete report without anything to know needs no words about that: the verdict shows it. */
function drawCompleteness({ completeness }: Report, { theme, width }: StackView): Section {
  const { complete, gaps } = completeness;
  if (complete && gaps.length === 0) return [];
  const heading = complete ? 'To know:' : 'Incomplete: this could not be seen and may hide findings:';
  const paint = complete ? theme.dim : theme.level.warning;
  return [
    ...wrapText(heading, width).map((line) => paint(line)),
    ...gaps.flatMap((gap) => wrapBullet(theme.escape(spellGap(gap)), theme.signs.bullet, width)),
  ];
}

/** The last line: the counts that decide the exit code. For partial data it never says only that nothing was found. */
function drawVerdict(report: Report, { theme, options, width }: StackView): Section {
  const { completeness, target } = report;
  const { serious, notes, known, suppressed } = selectFindings(report);
  const errors = countLevel(serious, 'error');
  const warnings = countLevel(serious, 'warning');
  const program = theme.escape(baseName(target.command[0] ?? 'the program'));
  const withNotes = options.showNotes === true ? '' : ' (--notes)';
  const withAccepted = options.showSuppressed === true ? '' : ' (--suppressed)';
  const hidden = [
    notes.length === 0 ? '' : `, ${plural(notes.length, 'note')}${withNotes}`,
    known.length === 0 ? '' : `, ${known.length} known${withAccepted}`,
    suppressed.length === 0 ? '' : `, ${suppressed.length} suppressed${withAccepted}`,
  ].join('');
  const partial = completeness.complete ? '' : '; the report is incomplete';
  const none = known.length === 0 ? 'No leaks and no misused handles' : 'No new leaks and no new misuse of handles';
  let text: string;
  let paint: (line: string) => string;
  if (errors + warnings > 0) {
    const counts = [
      errors === 0 ? '' : plural(errors, 'error'),
      warnings === 0 ? '' : plural(warnings, 'warning'),
    ].filter((part) => part !== '');
    const grown = serious.filter(({ baseline }) => baseline !== undefined).length;
    const beyond = grown === 0 ? '' : ` (${grown} beyond the baseline)`;
    text = `${theme.signs.bad} ${counts.join(', ')}${beyond}${hidden}${partial}.`;
    paint = (line) => theme.strong(theme.level[errors > 0 ? 'error' : 'warning'](line));
  } else if (completeness.complete) {
    text = `${theme.signs.good} ${none} in ${program}${hidden}.`;
    paint = (line) => theme.strong(theme.good(line));
  } else {
    text = `? ${none} in what could be seen of ${program}${hidden}, but the report is incomplete.`;
    paint = (line) => theme.strong(theme.level.warning(line));
  }
  return wrapText(text, width).map((line) => paint(line));
}

function countLevel(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length;
}
