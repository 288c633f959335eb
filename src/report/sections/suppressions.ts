import type { Report, SuppressionLine, SuppressionUse } from '../../model.ts';
import { plural } from '../numbers.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/**
 * Which lines suppressed how many findings. The default ones are listed on demand: they stand for handles
 * that a program keeps by design. With the notes it lists the lines that matched nothing.
 */
export function drawSuppressions(report: Report, { theme, options, width }: StackView): readonly string[] {
  const { suppressions = [] } = report;
  const { suppressed } = selectFindings(report);
  const withNotes = options.showNotes === true;
  const isListed = ({ reason }: SuppressionUse): boolean =>
    reason === undefined || withNotes || options.showSuppressed === true;
  const used = suppressions.filter((use) => use.findings > 0 && isListed(use));
  const unused = withNotes ? suppressions.filter(({ findings }) => findings === 0) : [];
  const section = (
    heading: string,
    uses: readonly SuppressionUse[],
    text: (use: SuppressionUse) => string,
  ): readonly string[] => {
    const lines = uses.flatMap((use) =>
      wrapBullet(theme.escape(text(use)), theme.signs.bullet, width).map((line) => theme.dim(line)),
    );
    return [...wrapText(heading, width).map((line) => theme.dim(line)), ...lines];
  };
  const spell = (use: SuppressionUse): string => spellLine(use, withNotes);
  return [
    ...(used.length === 0
      ? []
      : section(
          `Suppressed: ${plural(suppressed.length, 'finding')}.`,
          used,
          (use) => `${use.findings} by ${spell(use)}`,
        )),
    ...(unused.length === 0 ? [] : section('Suppressions that matched nothing:', unused, spell)),
  ];
}

/** `known.supp:3  leak:open_log`; `default  leak:^node.exe!node::Start$: the reason`. The text is not escaped. */
export function spellLine({ line, source, lineNumber, reason }: SuppressionLine, withReason: boolean): string {
  if (reason === undefined) return `${source}:${lineNumber}  ${line}`;
  return withReason ? `${source}  ${line}: ${reason}` : `${source}  ${line}`;
}
