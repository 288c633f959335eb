import Table from 'cli-table3';
import type { Level, Rule } from '../model.ts';
import { escapeText } from '../text/escape.ts';
import type { Alike } from './alike.ts';
import { plural } from './numbers.ts';
import { spellSiteOf, type StackView } from './stack-view.ts';
import { cutEnd, cutMiddle, textWidth } from './text-width.ts';

/** Findings that have no row of their own. */
export interface Rest {
  readonly level: Level;
  /** Absent where they differ in it. */
  readonly rule?: Rule;
  readonly type?: string;
  /** The sum of their counts. */
  readonly count: number;
  readonly findings: number;
}

/** A row for each finding, to see all at once after the details, and one for each kind of the rest. */
export function drawSummary(alike: readonly Alike[], rest: readonly Rest[], view: StackView): readonly string[] {
  const { theme, width } = view;
  const gap = 2;
  // The object is in every finding's header already: where it is narrow, the site matters more.
  const withObject = width >= 64;
  const head = withObject ? ['level', 'rule', 'object', 'count'] : ['level', 'rule', 'count'];
  // cli-table3 measures some scripts otherwise than a terminal does: only the last column, which nothing follows, may
  // hold them.
  const spellType = (type: string | undefined): string =>
    type === undefined || type === 'Unknown' ? '-' : cutMiddle(escapeText(type, true), 14, theme.signs.ellipsis);
  const cellsOf = (level: Level, rule: Rule | undefined, type: string | undefined, count: number): string[] => [
    level,
    rule ?? '-',
    ...(withObject ? [spellType(type)] : []),
    String(count),
  ];
  const rows = [
    ...alike.map(({ finding: { level, rule, object, count, stacks }, others }) => ({
      level,
      cells: cellsOf(level, rule, object.type, count),
      site: theme.escape(spellSiteOf(stacks.offending ?? stacks.opened)),
      remark: others === 0 ? '' : ` (${others + 1} findings)`,
    })),
    ...rest.map(({ level, rule, type, count, findings }) => ({
      level,
      cells: cellsOf(level, rule, type, count),
      site: '',
      remark: `${theme.signs.ellipsis} ${plural(findings, 'more finding')}${rule === undefined ? '' : ' of this kind'}`,
    })),
  ];
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
