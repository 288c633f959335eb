import { isDefaultSuppression } from '../../analyze/default-suppressions.ts';
import type { Report, SuppressionLine, SuppressionUse } from '../../model.ts';
import { plural } from '../numbers.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/**
 * Which lines suppressed how many findings. The default ones are listed on demand: they stand for handles
 * that a program keeps by design. Lines that have expired are listed in any case. Those that matched nothing are
 * counted, and listed with the notes: one file may serve many programs.
 */
export function drawSuppressions(report: Report, { theme, options, width }: StackView): readonly string[] {
  const { suppressions = [] } = report;
  const { suppressed } = selectFindings(report);
  const withNotes = options.showNotes === true;
  const isListed = (use: SuppressionUse): boolean =>
    !isDefaultSuppression(use) || withNotes || options.showSuppressed === true;
  const used = suppressions.filter((use) => use.findings > 0 && isListed(use));
  const expired = suppressions.filter((use) => use.expired === true);
  const unused = suppressions.filter((use) => use.findings === 0 && use.expired !== true);
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
    ...(expired.length === 0
      ? []
      : section('Suppressions that have expired, and suppress nothing any more:', expired, spell)),
    ...(unused.length === 0
      ? []
      : withNotes
        ? section('Suppressions that matched nothing:', unused, spell)
        : section(`Suppressions that matched nothing: ${unused.length} (--notes).`, [], spell)),
  ];
}

/** `known.supp:3  leak:open_log: issue 812`; `default  leak:^node.exe!node::Start$: the reason`. It is not escaped. */
export function spellLine(suppression: SuppressionLine, withReason: boolean): string {
  const { line, source, lineNumber, reason } = suppression;
  const place = isDefaultSuppression(suppression) ? source : `${source}:${lineNumber}`;
  return `${place}  ${line}${withReason && reason !== undefined ? `: ${reason}` : ''}`;
}
