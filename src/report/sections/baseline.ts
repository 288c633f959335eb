import type { BaselineChanges, Report, StaleEntry } from '../../model.ts';
import { plural } from '../numbers.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/** How the baseline differs from what was found: the changes that were made to it, and its stale entries. */
export function drawBaseline({ baseline, completeness }: Report, { theme, width }: StackView): readonly string[] {
  if (baseline === undefined) return [];
  const { file, entries, stale, changes } = baseline;
  const gone = stale.filter(({ found }) => found === 0);
  const smaller = stale.length - gone.length;
  const size = `${plural(entries, 'known finding')}${changes === undefined ? '' : `; ${spellChanges(changes)}`}`;
  const staleHeading = completeness.complete
    ? 'Stale entries, which nothing was found of (--prune-baseline drops them):'
    : 'Entries that nothing was found of, in a report that is incomplete:';
  const lower =
    smaller === 1
      ? '1 entry accepts more than was found (--prune-baseline lowers it).'
      : `${smaller} entries accept more than was found (--prune-baseline lowers them).`;
  const paint = (lines: readonly string[]): readonly string[] => lines.map((line) => theme.dim(line));
  return [
    ...paint(wrapText(theme.escape(`Baseline ${file}: ${size}.`), width)),
    ...(smaller === 0 ? [] : paint(wrapText(lower, width))),
    ...(gone.length === 0 ? [] : paint(wrapText(staleHeading, width))),
    ...gone.flatMap((entry) => paint(wrapBullet(theme.escape(spellEntry(entry)), theme.signs.bullet, width))),
  ];
}

/** `1 added, 2 dropped` */
function spellChanges(changes: BaselineChanges): string {
  const parts = (['added', 'raised', 'lowered', 'dropped'] as const).flatMap((kind) =>
    changes[kind] === 0 ? [] : [`${changes[kind]} ${kind}`],
  );
  return parts.length === 0 ? 'nothing changed' : parts.join(', ');
}

/** `leak 77b97fc1011732e6  File: CreateFile < app.exe!open_log` */
function spellEntry({ rule, fingerprint, site }: StaleEntry): string {
  return `${rule} ${fingerprint}  ${site}`;
}
