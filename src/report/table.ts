import type { Finding, Level, Report } from '../model.ts';
import { spellExitCode } from './exit-code-meanings.ts';
import { drawAccepted, drawFinding, drawNote } from './finding-view.ts';
import { spellGap } from './gaps.ts';
import { plural, spellNumber } from './numbers.ts';
import { baseName } from './paths.ts';
import type { Reporter } from './reporter.ts';
import { selectFindings } from './selection.ts';
import type { StackView } from './stack-view.ts';
import { drawSummary } from './summary.ts';
import { drawSuppressions } from './suppressions-view.ts';
import { wrapText } from './text-width.ts';
import { createTheme } from './theme.ts';

const narrowest = 40;
const widest = 120;

/**
 * The report for a person at a terminal: every finding with its stacks, a summary, what could not be seen, the verdict.
 */
export const table: Reporter = (report, options) => {
  const view: StackView = {
    theme: createTheme(options),
    options,
    width: Math.min(Math.max(Math.floor(options.columns) || widest, narrowest), widest),
    programModule: programModule(report.target.command[0] ?? ''),
  };
  const { serious, notes: allNotes, known, suppressed } = selectFindings(report);
  const notes = options.showNotes === true ? allNotes : [];
  const accepted = options.showSuppressed === true ? [...known, ...suppressed] : [];
  const sections: readonly (readonly string[])[] = [
    drawHead(report, view),
    ...serious.map((finding) => drawFinding(finding, view)),
    ...notes.map((finding) => drawNote(finding, view)),
    ...accepted.map((finding) => drawAccepted(finding, view)),
    serious.length + notes.length > 0 ? drawSummary([...serious, ...notes], view) : [],
    drawSuppressions(report, view),
    drawCompleteness(report, view),
    drawVerdict(report, view),
  ];
  return `${sections
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n')}\n`;
};

function programModule(program: string): string {
  const name = baseName(program).toLowerCase();
  return name.includes('.') ? name : `${name}.exe`;
}

function drawHead({ tool, target, runs, stats }: Report, { theme, width }: StackView): readonly string[] {
  const command = theme.escape([tool.name, tool.version, target.command.map(quoteArgument).join(' ')].join(' '));
  const lines = wrapText(command, width);
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

function drawCompleteness({ completeness }: Report, { theme, width }: StackView): readonly string[] {
  const { complete, gaps } = completeness;
  const notes = gaps.map(spellGap);
  const paint = complete ? theme.dim : theme.level.warning;
  const heading = complete
    ? notes.length === 0
      ? 'Complete: nothing that could hide a finding was missed.'
      : 'Complete: nothing that could hide a finding was missed. To know:'
    : notes.length === 0
      ? 'Incomplete: something that could hide a finding was missed.'
      : 'Incomplete: this could not be seen and may hide findings:';
  const bullets = notes.flatMap((note) =>
    wrapText(theme.escape(note), width - 4).map((line, index) =>
      index === 0 ? `  ${theme.signs.bullet} ${line}` : `    ${line}`,
    ),
  );
  return [...wrapText(heading, width).map((line) => paint(line)), ...bullets];
}

/** The last line: the counts that decide the exit code. For partial data it never says only that nothing was found. */
function drawVerdict(report: Report, { theme, options, width }: StackView): readonly string[] {
  const { completeness, target } = report;
  const { serious, notes, known, suppressed } = selectFindings(report);
  const errors = countLevel(serious, 'error');
  const warnings = countLevel(serious, 'warning');
  const program = theme.escape(baseName(target.command[0] ?? 'the program'));
  const shown = options.showNotes === true ? '' : ` hidden (--notes shows ${notes.length === 1 ? 'it' : 'them'})`;
  const hidden = [
    notes.length === 0 ? '' : `, ${plural(notes.length, 'note')}${shown}`,
    known.length === 0 ? '' : `, ${known.length} known`,
    suppressed.length === 0 ? '' : `, ${suppressed.length} suppressed`,
  ].join('');
  const partial = completeness.complete ? '' : '; the report is incomplete';
  let text: string;
  let paint: (line: string) => string;
  if (errors + warnings > 0) {
    const counts = [
      errors === 0 ? '' : plural(errors, 'error'),
      warnings === 0 ? '' : plural(warnings, 'warning'),
    ].filter((part) => part !== '');
    text = `${theme.signs.bad} ${counts.join(', ')}${hidden}${partial}.`;
    paint = (line) => theme.strong(theme.level[errors > 0 ? 'error' : 'warning'](line));
  } else if (completeness.complete) {
    text = `${theme.signs.good} No leaks and no misused handles in ${program}${hidden}.`;
    paint = (line) => theme.strong(theme.good(line));
  } else {
    text = `? No leaks and no misused handles in what could be seen of ${program}${hidden}, but the report is incomplete.`;
    paint = (line) => theme.strong(theme.level.warning(line));
  }
  return wrapText(text, width).map((line) => paint(line));
}

function countLevel(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length;
}

function spellDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  const seconds = durationMs / 1000;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
