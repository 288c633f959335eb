import type { Report, SuppressionUse } from '../model.ts';
import type { StackView } from './stack-view.ts';
import { wrapText } from './text-width.ts';

/** How many findings were suppressed, and by which lines; those that suppressed nothing are shown with the notes. */
export function drawSuppressions(
  { suppressions = [] }: Report,
  { theme, options, width }: StackView,
): readonly string[] {
  const used = suppressions.filter(({ findings }) => findings > 0);
  const unused = options.showNotes === true ? suppressions.filter(({ findings }) => findings === 0) : [];
  const spell = ({ line, source, lineNumber, reason }: SuppressionUse): string =>
    reason === undefined
      ? `${source}:${lineNumber}  ${line}`
      : options.showNotes === true
        ? `${source}  ${line}: ${reason}`
        : `${source}  ${line}`;
  const section = (
    heading: string,
    uses: readonly SuppressionUse[],
    text: (use: SuppressionUse) => string,
  ): readonly string[] => {
    if (uses.length === 0) return [];
    const lines = uses.flatMap((use) =>
      wrapText(theme.escape(text(use)), width - 4).map((line, index) =>
        theme.dim(index === 0 ? `  ${theme.signs.bullet} ${line}` : `    ${line}`),
      ),
    );
    return [...wrapText(heading, width).map((line) => theme.dim(line)), ...lines];
  };
  return [
    ...section(
      `Suppressed: ${spellFindings(countSuppressed(used))}.`,
      used,
      (use) => `${use.findings} by ${spell(use)}`,
    ),
    ...section('Suppressions that matched nothing:', unused, spell),
  ];
}

/** Findings that were suppressed, by all lines together. */
export function countSuppressed(suppressions: readonly SuppressionUse[] = []): number {
  return suppressions.reduce((sum, { findings }) => sum + findings, 0);
}

function spellFindings(count: number): string {
  return `${count} ${count === 1 ? 'finding' : 'findings'}`;
}
