import { isDefaultSuppression } from '../../analyze/default-suppressions.ts';
import type { Report, SuppressionLine, SuppressionUse } from '../../model.ts';
import { plural } from '../numbers.ts';
import type { ReportOptions } from '../reporter.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/** Lines of suppressions under a heading. No text in it is escaped. */
interface SuppressionList {
  readonly heading: string;
  readonly lines: readonly string[];
}

/**
 * Which lines suppressed how many findings. The default ones are listed on demand: they stand for handles that a
 * program keeps by design, and for what is the system's. Lines that have expired are listed in any case. Those that
 * matched nothing are counted, and listed with the notes: one file may serve many programs.
 */
export function listSuppressions(report: Report, options: ReportOptions): readonly SuppressionList[] {
  const { suppressions = [] } = report;
  const { suppressed } = selectFindings(report);
  const withNotes = options.showNotes === true;
  const isListed = (use: SuppressionUse): boolean =>
    !isDefaultSuppression(use) || withNotes || options.showSuppressed === true;
  const used = suppressions.filter((use) => use.findings > 0 && isListed(use));
  const expired = suppressions.filter((use) => use.expired === true);
  const unused = suppressions.filter((use) => use.findings === 0 && use.expired !== true);
  const spell = (use: SuppressionUse): string => spellLine(use, withNotes);
  return [
    ...(used.length === 0
      ? []
      : [
          {
            heading: `Suppressed: ${plural(suppressed.length, 'finding')}.`,
            lines: used.map((use) => `${use.findings} by ${spell(use)}`),
          },
        ]),
    ...(expired.length === 0
      ? []
      : [
          {
            heading: 'Suppressions that have expired, and suppress nothing any more:',
            lines: expired.map(spell),
          },
        ]),
    ...(unused.length === 0
      ? []
      : withNotes
        ? [{ heading: 'Suppressions that matched nothing:', lines: unused.map(spell) }]
        : [{ heading: `Suppressions that matched nothing: ${unused.length} (--notes).`, lines: [] }]),
  ];
}

/** The lists of {@link listSuppressions}. */
export function drawSuppressions(report: Report, { theme, options, width }: StackView): readonly string[] {
  return listSuppressions(report, options).flatMap(({ heading, lines }) => {
    const bullets = lines.flatMap((line) => wrapBullet(theme.escape(line), theme.signs.bullet, width));
    return [...wrapText(heading, width), ...bullets].map((line) => theme.dim(line));
  });
}

/** `known.supp:3  leak:open_log: issue 812`; `default  leak:^node.exe!node::Start$: the reason`. It is not escaped. */
export function spellLine(suppression: SuppressionLine, withReason: boolean): string {
  const { line, source, lineNumber, reason } = suppression;
  const place = isDefaultSuppression(suppression) ? source : `${source}:${lineNumber}`;
  return `${place}  ${line}${withReason && reason !== undefined ? `: ${reason}` : ''}`;
}
