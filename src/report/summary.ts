import Table from 'cli-table3';
import type { Finding, Frame } from '../model.ts';
import { escapeText } from '../text/escape.ts';
import { baseName } from './paths.ts';
import { siteFrame, type StackView } from './stack-view.ts';
import { cutEnd, cutMiddle, textWidth } from './text-width.ts';

/** One row per finding, to see all at once after the details have scrolled away. */
export function drawSummary(findings: readonly Finding[], { theme, width }: StackView): readonly string[] {
  const gap = 2;
  // The object is in every finding's header already: where it is narrow, the site matters more.
  const withObject = width >= 64;
  const head = withObject ? ['level', 'rule', 'object', 'count'] : ['level', 'rule', 'count'];
  // cli-table3 measures some scripts otherwise than a terminal does: only the last column, which nothing follows, may
  // hold them.
  const rows = findings.map((finding) => {
    const type =
      finding.object.type === 'Unknown'
        ? '-'
        : cutMiddle(escapeText(finding.object.type, true), 14, theme.signs.ellipsis);
    return {
      level: finding.level,
      cells: [finding.level, finding.rule, ...(withObject ? [type] : []), String(finding.count)],
      site: theme.escape(spellSite(siteFrame(finding.stacks.offending ?? finding.stacks.opened))),
    };
  });
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
  for (const { level, cells, site } of rows) {
    const [name = '', ...rest] = cells;
    table.push([theme.level[level](name), ...rest, cutMiddle(site, siteWidth, theme.signs.ellipsis)]);
  }
  return table
    .toString()
    .split('\n')
    .map((line, index) => (index === 1 ? theme.dim(cutEnd(line, width, '')) : line.trimEnd()));
}

/** `rotate_log (log.c:42)`, `app.exe+0x13ae` */
function spellSite(frame: Frame | undefined): string {
  if (frame === undefined) return 'unknown';
  const module = baseName(frame.module);
  const place =
    frame.file === undefined ? '' : `${baseName(frame.file)}${frame.line === undefined ? '' : `:${frame.line}`}`;
  if (frame.function !== undefined)
    return place === '' ? `${module}!${frame.function}` : `${frame.function} (${place})`;
  return place === '' ? `${module}+0x${frame.offset.toString(16)}` : place;
}
