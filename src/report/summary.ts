import Table from 'cli-table3';
import { escapeText } from '../text/escape.ts';
import { plural } from './numbers.ts';
import type { Kind } from './selection.ts';
import type { StackView } from './stacks/stack-view.ts';
import { cutEnd, cutMiddle, textWidth } from './text-width.ts';

/** A row of the summary: the findings of one kind at one place. */
export interface SummaryRow extends Kind {
  /** Absent where they are at places of all sorts. The text is not escaped. */
  readonly site?: string;
  /** The sum of their counts. */
  readonly count: number;
  readonly findings: number;
}

/** The findings at a glance, after the details have scrolled away. */
export function drawSummary(summary: readonly SummaryRow[], { theme, width }: StackView): readonly string[] {
  const gap = 2;
  // The object is in every finding's header already: where it is narrow, the site matters more.
  const withObject = width >= 64;
  const head = withObject ? ['level', 'rule', 'object', 'count'] : ['level', 'rule', 'count'];
  // cli-table3 measures some scripts otherwise than a terminal does: only the last column, which nothing follows, may
  // hold them.
  const spellType = (type: string | undefined): string =>
    type === undefined || type === 'Unknown' ? '-' : cutMiddle(escapeText(type, true), 14, theme.signs.ellipsis);
  const rows = summary.map(({ level, rule, type, site, count, findings }) => ({
    level,
    cells: [level, rule ?? '-', ...(withObject ? [spellType(type)] : []), String(count)],
    site: theme.escape(site ?? ''),
    remark:
      site === undefined
        ? `${theme.signs.ellipsis} ${plural(findings, 'more finding')}${rule === undefined ? '' : ' of this kind'}`
        : findings > 1
          ? ` (${findings} findings)`
          : '',
  }));
  const taken = head.map(
    (title, column) => Math.max(title.length, ...rows.map(({ cells }) => textWidth(cells[column]!))) + gap,
  );
  const siteWidth = Math.max(4, width - taken.reduce((sum, each) => sum + each, 0));
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  };
  const table = new Table({
    head: [...head, 'site'].map((title) => theme.dim(title)),
    chars: {
      ...none,
      left: '',
      right: '',
      'left-mid': '',
      'right-mid': '',
      mid: theme.signs.rule,
      'mid-mid': '  ',
      middle: ' '.repeat(gap),
    },
    colAligns: [...head.map((title) => (title === 'count' ? ('right' as const) : ('left' as const))), 'left'],
    // No colours of cli-table3's: with any, it loads a package that touches process.stdout, which ends Node under Wine.
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  });
  for (const { level, cells, site, remark } of rows) {
    const [name = '', ...others] = cells;
    const room = Math.max(1, siteWidth - textWidth(remark));
    const shown = `${cutMiddle(site, room, theme.signs.ellipsis)}${remark}`;
    table.push([theme.level[level](name), ...others, cutEnd(shown, siteWidth, theme.signs.ellipsis)]);
  }
  return table
    .toString()
    .split('\n')
    .map((line, index) => (index === 1 ? theme.dim(cutEnd(line, width, '')) : line.trimEnd()));
}
