import { spellCompleteness, spellGap } from '../gaps.ts';
import { plural } from '../numbers.ts';
import { listProcesses, spellProcesses } from '../sections/processes.ts';
import { spellMissingNames } from '../sections/missing-names.ts';
import { listSuppressions } from '../sections/suppressions.ts';
import { selectFindings } from '../selection.ts';
import { clip, html, listSome, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** A list has so many items at most, of so many characters each. */
const itemsMax = 500;
const itemMax = 600;

/** The parts of the truth that the audit did not see. */
export function drawGaps({ report: { completeness } }: Page): Markup {
  const { complete, gaps } = completeness;
  if (complete && gaps.length === 0) return html``;
  return html`<section id="gaps" class="${complete ? '' : 'incomplete'}" aria-labelledby="gaps-title">
<h2 id="gaps-title">${complete ? 'Good to know' : 'Not seen'}</h2>
<p>${spellCompleteness(completeness)}</p>
${drawList(gaps.map(spellGap))}</section>
`;
}

/** The tree of the processes that were audited, each below the one that started it. */
export function drawProcessTree({ report, options }: Page): Markup {
  const rows = listProcesses(report, options.showAll === true);
  if (rows.length === 0) return html``;
  let depth = -1;
  const items = rows.slice(0, itemsMax).map((row) => {
    // Each item closes the lists that are deeper than itself, and opens one where it is deeper than the one before.
    const between = row.depth > depth ? html`\n<ul>` : html`</li>${closings(depth - row.depth)}\n`;
    depth = row.depth;
    const [{ findings }] = row.alike;
    return html`${between}<li><span class="${findings > 0 ? 'process found' : 'process'}">${clip(spellProcesses(row.alike), itemMax)}</span>`;
  });
  const rest = rows.slice(itemsMax).reduce((sum, { alike }) => sum + alike.length, 0);
  return html`<section id="processes" aria-labelledby="processes-title">
<h2 id="processes-title">${plural(report.processes?.length ?? 0, 'process', 'processes')}</h2>
<div class="tree">${items}</li>${closings(depth)}</ul></div>
${rest > 0 ? html`<p class="dim">… ${plural(rest, 'more process', 'more processes')}</p>\n` : undefined}</section>
`;
}

/** The ends of lists within lists. */
function closings(count: number): Markup[] {
  return Array.from({ length: count }, () => html`</ul></li>`);
}

/** The lines of suppressions that were used, or that were not. */
export function drawSuppressionLists({ report, options }: Page): Markup {
  const lists = listSuppressions(report, options);
  if (lists.length === 0) return html``;
  return html`<section id="suppressions" aria-labelledby="suppressions-title">
<h2 id="suppressions-title">Suppressions</h2>
${lists.map(({ heading, lines }) => html`<p>${heading}</p>\n${lines.length === 0 ? undefined : drawList(lines)}`)}</section>
`;
}

/** Why frames have no names, and what would help. */
export function drawMissingSymbols({ report }: Page): Markup {
  const lines = spellMissingNames(report, selectFindings(report).serious);
  if (lines.length === 0) return html``;
  return html`<section id="symbols" aria-labelledby="symbols-title">
<h2 id="symbols-title">Why functions have no names</h2>
${drawList(lines)}</section>
`;
}

function drawList(lines: readonly string[]): Markup {
  const items = listSome(
    lines,
    itemsMax,
    (line) => html`<li>${clip(line, itemMax)}</li>\n`,
    (count) => html`<li>… ${plural(count, 'more line')}</li>\n`,
  );
  return html`<ul>
${items}</ul>
`;
}
