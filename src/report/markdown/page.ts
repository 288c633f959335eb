import type { Finding, Level, Report } from '../../model.ts';
import { spellDuration } from '../../text/duration.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { drawDetails } from '../finding-view.ts';
import { spellGap } from '../gaps.ts';
import { codeBlock, codeSpan, prose } from './text.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { ReportOptions } from '../reporter.ts';
import { listFindings, selectFindings } from '../selection.ts';
import { type FindPlace, findPlacesIn, placeFinding } from '../source-place.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { createView } from '../view.ts';

const gapsMax = 12;
/** Room for the line that says how many findings are left out. */
const noteSizeBytes = 200;

/**
 * A report as Markdown for a forge (GitHub, GitLab): the verdict, what could not be seen, and each finding with its
 * sentence, its place and its stacks folded away. Names of the target are code everywhere, and mean nothing.
 *
 * Findings are left out, the least bad first, where they would not fit; a line says how many.
 *
 * @param sizeBytesMax in UTF-8
 * @returns an empty text where not even the verdict fits
 */
export function drawMarkdown(report: Report, options: ReportOptions, sizeBytesMax: number): string {
  const head = `${[...drawVerdict(report), ...drawGaps(report)].join('\n\n')}\n`;
  let left = sizeBytesMax - noteSizeBytes - Buffer.byteLength(head);
  if (left < 0) return '';
  const view: StackView = {
    ...createView(report, { ...options, colorLevel: 0, columns: 100 }),
    brevity: { stackRows: 24, sourceContext: 1, handles: 10 },
  };
  const findPlace = findPlacesIn(options);
  const shown = listFindings(report, options);
  const sections: string[] = [];
  for (const finding of shown) {
    const section = `\n${drawFinding(finding, view, findPlace)}\n`;
    left -= Buffer.byteLength(section);
    if (left < 0) break;
    sections.push(section);
  }
  const hidden = shown.length - sections.length;
  const note =
    hidden === 0
      ? ''
      : `\n_${plural(hidden, sections.length === 0 ? 'finding' : 'more finding')} left out here for lack of room: see the JSON report._\n`;
  return `${head}${sections.join('')}${note}`;
}

function drawVerdict(report: Report): readonly string[] {
  const { tool, target, completeness, stats } = report;
  const { serious, notes, known, suppressed } = selectFindings(report);
  const count = (level: Level): number => serious.filter((finding) => finding.level === level).length;
  const counts = [
    [count('error'), 'error'],
    [count('warning'), 'warning'],
  ] as const;
  const found = counts.flatMap(([number, noun]) => (number === 0 ? [] : [plural(number, noun)])).join(', ');
  const program = codeSpan(baseName(target.command[0] ?? '') || 'the program', 100);
  const verdict =
    found !== ''
      ? `${found} in ${program}`
      : completeness.complete
        ? `no leaks and no misused handles in ${program}`
        : `nothing found in ${program}, but the report is incomplete`;
  const further = [
    notes.length === 0 ? '' : plural(notes.length, 'note'),
    known.length === 0 ? '' : `${known.length} known`,
    suppressed.length === 0 ? '' : `${suppressed.length} suppressed`,
  ].filter((part) => part !== '');
  const facts = [
    target.exitCode === undefined ? 'Still running' : `Exited with ${spellExitCode(target.exitCode)}`,
    spellDuration(stats.durationMs),
    `${spellNumber(stats.opens)} handles opened, ${spellNumber(stats.closes)} closed, ${spellNumber(stats.openHandles)} open`,
    ...further,
  ];
  return [`### ${codeSpan(tool.name)}: ${verdict}`, `${facts.join(', ')}.`];
}

function drawGaps({ completeness: { complete, gaps } }: Report): readonly string[] {
  if (gaps.length === 0) return [];
  const heading = complete
    ? 'To know:'
    : '**The report is incomplete.** This could not be seen, and may hide findings:';
  const items = gaps.slice(0, gapsMax).map((gap) => `- ${prose(spellGap(gap), 500)}`);
  if (gaps.length > gapsMax) items.push(`- ${gaps.length - gapsMax} more`);
  return [heading, items.join('\n')];
}

function drawFinding(finding: Finding, view: StackView, findPlace: FindPlace): string {
  const { level, status, rule, message, fingerprint, suppressedBy } = finding;
  const place = placeFinding(finding, findPlace);
  const where =
    place === undefined
      ? ''
      : ` at ${codeSpan(place.line === undefined ? place.path : `${place.path}:${place.line}`, 300)}`;
  const accepted = status === 'new' ? '' : ` (${status})`;
  const [, ...details] = drawDetails(finding, view);
  return [
    `#### ${level}${accepted}: ${codeSpan(rule)}${where}`,
    prose(message),
    ...(suppressedBy === undefined ? [] : [`Suppressed by ${codeSpan(suppressedBy.line)}.`]),
    '<details><summary>Stacks</summary>',
    codeBlock([...details, '', `  fingerprint ${fingerprint}`]),
    '</details>',
  ].join('\n\n');
}
