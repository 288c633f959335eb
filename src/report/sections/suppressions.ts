import type { Report, SuppressionLine, SuppressionUse } from '../../model.ts';
import { plural } from '../numbers.ts';
import type { ReportOptions } from '../reporter.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/** Lines of suppressions under a heading. No text in it is escaped. */
interface SuppressionList {
  readonly heading: string;
  readonly lines: readonly string[];
}

/**
 * Which lines suppressed how many findings. The default ones are listed on demand: they stand for handles
 * that a program keeps by design. With the notes it lists the lines that matched nothing.
 */
export function listSuppressions(report: Report, options: ReportOptions): readonly SuppressionList[] {
  const { suppressions = [] } = report;
  const { suppressed } = selectFindings(report);
  const withNotes = options.showNotes === true;
  const isListed = ({ reason }: SuppressionUse): boolean =>
    reason === undefined || withNotes || options.showSuppressed === true;
  const used = suppressions.filter((use) => use.findings > 0 && isListed(use));
  const unused = withNotes ? suppressions.filter(({ findings }) => findings === 0) : [];
  const spell = (use: SuppressionUse): string => spellLine(use, withNotes);
  const lists = [
    {
      heading: `Suppressed: ${plural(suppressed.length, 'finding')}.`,
      lines: used.map((use) => `${use.findings} by ${spell(use)}`),
    },
    { heading: 'Suppressions that matched nothing:', lines: unused.map(spell) },
  ];
  return lists.filter(({ lines }) => lines.length > 0);
}

/** The lists of {@link listSuppressions}. */
export function drawSuppressions(report: Report, { theme, options, width }: StackView): readonly string[] {
  return listSuppressions(report, options).flatMap(({ heading, lines }) => {
    const bullets = lines.flatMap((line) => wrapBullet(theme.escape(line), theme.signs.bullet, width));
    return [...wrapText(heading, width), ...bullets].map((line) => theme.dim(line));
  });
}

/** `known.supp:3  leak:open_log`; `default  leak:^node.exe!node::Start$: the reason`. The text is not escaped. */
export function spellLine({ line, source, lineNumber, reason }: SuppressionLine, withReason: boolean): string {
  if (reason === undefined) return `${source}:${lineNumber}  ${line}`;
  return withReason ? `${source}  ${line}: ${reason}` : `${source}  ${line}`;
}
