import type { Finding, Level } from '../../model.ts';
import { rules } from '../../rules.ts';
import { cutText } from '../../text/cut.ts';
import { escapeText } from '../../text/escape.ts';
import { stacksOf } from '../finding-view.ts';
import { spellGap } from '../gaps.ts';
import { drawMarkdown } from '../markdown/page.ts';
import { plural } from '../numbers.ts';
import type { Companion, Reporter } from '../reporter.ts';
import { listFindings } from '../selection.ts';
import { findPlacesIn, placeFinding, type SourcePlace } from '../source-place.ts';
import { drawStackLine } from '../stacks/stack-view.ts';
import { createView } from '../view.ts';

/** GitHub shows ten errors and ten warnings of a step. */
const annotationsMax = 10;
const messageLengthMax = 2000;

const commands: Readonly<Record<Level, string>> = { error: 'error', warning: 'warning', note: 'notice' };

/**
 * Annotations for GitHub Actions, as workflow commands in the output of a step
 * (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands): the worst new
 * findings, ten at most. Where there are more, the last one says how many.
 */
export const github: Reporter = (report, options) => {
  const view = createView(report, { ...options, colorLevel: 0, columns: 120 });
  const findPlace = findPlacesIn(options);
  const shown = listFindings(report, options).filter(({ status }) => status === 'new');
  const { complete, gaps } = report.completeness;
  const room = annotationsMax - (complete ? 0 : 1);
  const drawn = shown.length <= room ? shown : shown.slice(0, room - 1);
  const lines = drawn.map((finding) => {
    const message = [
      finding.message,
      ...stacksOf(finding).map(([label, stack]) => `${label}: ${drawStackLine(stack, view)}`),
    ].map((line) => cutText(escapeText(line), messageLengthMax));
    return command(commands[finding.level], titleOf(finding), message.join('\n'), placeFinding(finding, findPlace));
  });
  if (!complete) {
    const sentences = gaps.slice(0, 5).map((gap) => cutText(escapeText(spellGap(gap)), messageLengthMax));
    lines.push(command('warning', 'unclosed: the report is incomplete', sentences.join('\n')));
  }
  const hidden = shown.length - drawn.length;
  if (hidden > 0) {
    const text = `+ ${plural(hidden, 'more finding')}, none worse than those that are shown: see the whole report.`;
    lines.push(command('notice', `unclosed: + ${hidden} more`, text));
  }
  return lines.length === 0 ? '::debug::unclosed found nothing\n' : `${lines.join('\n')}\n`;
};

/** The summary of a step, which GitHub shows below the graph of a run: a mebibyte at most from all of the step. */
export const stepSummary: Companion = {
  variable: 'GITHUB_STEP_SUMMARY',
  fileSizeBytesMax: (1 << 20) - 1,
  write: drawMarkdown,
};

function titleOf({ rule }: Finding): string {
  return `${rules[rule].title} (${rule})`;
}

function command(name: string, title: string, message: string, place?: SourcePlace): string {
  const { path, line } = place ?? {};
  const properties = [
    ...(path === undefined ? [] : [`file=${escapeProperty(escapeText(path))}`]),
    ...(line === undefined ? [] : [`line=${line}`]),
    `title=${escapeProperty(title)}`,
  ];
  return `::${name} ${properties.join(',')}::${escapeData(message)}`;
}

/** The runner ends a command at the end of a line, and reads `%` as the beginning of an escaped character. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
