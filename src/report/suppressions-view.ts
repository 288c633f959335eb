import type { Report, SuppressionLine, SuppressionUse } from '../model.ts';
import { plural } from './numbers.ts';
import { selectFindings } from './selection.ts';
import type { StackView } from './stack-view.ts';
import { wrapBullet, wrapText } from './text-width.ts';

/**
 * How many findings are known or suppressed, and by which lines. With the notes it lists the lines that matched
 * nothing.
 */
export function drawSuppressions(report: Report, { theme, options, width }: StackView): readonly string[] {
  const { suppressions = [] } = report;
  const { known, suppressed } = selectFindings(report);
  const used = suppressions.filter(({ findings }) => findings > 0);
  const unused = options.showNotes === true ? suppressions.filter(({ findings }) => findings === 0) : [];
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
  const count = (number: number): string => {
    const hint = options.showSuppressed === true ? '' : ` (--suppressed shows ${number === 1 ? 'it' : 'them'})`;
    return `${plural(number, 'finding')}${hint}`;
  };
  const spell = (use: SuppressionUse): string => spellLine(use, options.showNotes === true);
  return [
    ...(known.length === 0 ? [] : section(`Known: ${count(known.length)}.`, [], spell)),
    ...(suppressed.length === 0
      ? []
      : section(`Suppressed: ${count(suppressed.length)}.`, used, (use) => `${use.findings} by ${spell(use)}`)),
    ...(unused.length === 0 ? [] : section('Suppressions that matched nothing:', unused, spell)),
  ];
}

/** `known.supp:3  leak:open_log`; `default  leak:^node.exe!uv_once$: the reason`. The text is not escaped. */
export function spellLine({ line, source, lineNumber, reason }: SuppressionLine, withReason: boolean): string {
  if (reason === undefined) return `${source}:${lineNumber}  ${line}`;
  return withReason ? `${source}  ${line}: ${reason}` : `${source}  ${line}`;
}
