import type { Finding, RunSummary } from '../../model.ts';
import { rules } from '../../rules.ts';
import { plural, spellNumber } from '../numbers.ts';
import { clip, html, listSome, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** So many types have a row, and so many runs a place in the drawings. */
const typesMax = 100;
const runsMax = 400;
const typeMax = 60;
/** Pixels that a run takes; fewer where the page is too narrow. */
const columnWidth = 16;

/** The findings about one type of object, added up. */
interface TypeSums {
  readonly type: string;
  /** Handles that were left open, and the sites that opened them. */
  readonly open: number;
  readonly sites: number;
  /** Calls with the wrong handle. */
  readonly misuses: number;
  /** Handles that an iteration leaves, on average; absent when no iterations were marked. */
  readonly perIteration?: number;
  /** Handles that were left open in each run; absent when there was only one. */
  readonly runs?: readonly number[];
}

/** A table of what is open and what was misused, by the types of the objects. */
export function drawHandlesByType(page: Page): Markup {
  const sums = addUp([...page.fresh, ...page.accepted]).filter(({ open, misuses }) => open + misuses > 0);
  if (sums.length === 0) return html``;
  const { runs } = page.report;
  const most = Math.max(1, ...sums.map(({ open }) => open));
  const withGrowth = sums.some(({ perIteration }) => perIteration !== undefined);
  const rows = listSome(
    sums,
    typesMax,
    ({ type, open, sites, misuses, perIteration }) => html`<tr><th scope="row">${clip(type, typeMax)}</th>
<td class="bar">${drawBar(open / most)}<span>${open === 0 ? '–' : spellNumber(open)}</span></td><td class="figure">${sites === 0 ? '–' : spellNumber(sites)}</td><td class="figure">${misuses === 0 ? '–' : spellNumber(misuses)}</td>${withGrowth ? html`<td class="figure">${perIteration === undefined ? '–' : spellGrowth(perIteration)}</td>` : undefined}</tr>
`,
    (count) => html`<tr><td colspan="${withGrowth ? 5 : 4}">… ${plural(count, 'more type')}</td></tr>\n`,
  );
  return html`<section id="types" aria-labelledby="types-title">
<h2 id="types-title">Handles by type</h2>
<p>The findings on this page, by the type of the object:</p>
<div class="scroll" tabindex="0" role="region" aria-label="Types and their numbers"><table class="types">
<thead><tr><th scope="col">type</th><th scope="col">left open</th><th scope="col" class="figure">sites</th><th scope="col" class="figure">misuses</th>${withGrowth ? html`<th scope="col" class="figure">per iteration</th>` : undefined}</tr></thead>
<tbody>
${rows}</tbody></table></div>
${runs === undefined || runs.length < 2 ? undefined : drawRuns(sums, runs)}</section>
`;
}

function addUp(findings: readonly Finding[]): readonly TypeSums[] {
  const sums = new Map<string, TypeSums>();
  for (const finding of findings) {
    const { object, rule, count, growth, runs } = finding;
    const old = sums.get(object.type) ?? { type: object.type, open: 0, sites: 0, misuses: 0 };
    const isLeak = rule === 'leak';
    sums.set(object.type, {
      ...old,
      open: old.open + (isLeak ? count : 0),
      sites: old.sites + (isLeak ? 1 : 0),
      misuses: old.misuses + (rules[rule].counts === 'calls' ? count : 0),
      ...(growth === undefined ? {} : { perIteration: (old.perIteration ?? 0) + growth.handlesPerIteration }),
      ...(isLeak && runs !== undefined ? { runs: runs.map((each, run) => each + (old.runs?.[run] ?? 0)) } : {}),
    });
  }
  return [...sums.values()].sort(
    (a, b) => b.open - a.open || b.misuses - a.misuses || (a.type < b.type ? -1 : a.type > b.type ? 1 : 0),
  );
}

function spellGrowth(perIteration: number): string {
  const rounded = Number(perIteration.toFixed(2));
  return rounded > 0 ? `+${spellNumber(rounded)}` : String(rounded);
}

function drawBar(share: number): Markup {
  return html`<svg class="bar" width="100%" height="8" aria-hidden="true"><rect width="100%" height="8" rx="2" class="track" fill="#dde2e9"/><rect width="${percent(share)}%" height="8" rx="2" class="value"/></svg>`;
}

/** The handles of each type in one run after the other: a drawing and the figures. */
function drawRuns(sums: readonly TypeSums[], runs: readonly RunSummary[]): Markup {
  const series = sums.flatMap(({ type, runs: counts = [] }) => (counts.length > 0 ? [{ type, counts }] : []));
  if (series.length === 0) return html``;
  const items = listSome(
    series,
    typesMax,
    ({ type, counts }) => {
      const shown = counts.slice(0, runsMax);
      const ends = `${spellNumber(counts[0] ?? 0)} in run 1, ${spellNumber(counts.at(-1) ?? 0)} in run ${counts.length}`;
      return html`<li><span class="type">${clip(type, typeMax)}</span> ${drawColumns(shown)} <span>${ends}</span></li>\n`;
    },
    (count) => html`<li>… ${plural(count, 'more type')}</li>\n`,
  );
  return html`<h3 class="types-runs">Left open in each of ${plural(runs.length, 'run')}</h3>
<ul class="series">
${items}</ul>
`;
}

function drawColumns(counts: readonly number[]): Markup {
  const most = Math.max(1, ...counts);
  const width = 100 / Math.max(1, counts.length);
  const columns = counts.map((count, run) => {
    const height = Math.max(count === 0 ? 0 : 3, Math.round((count / most) * 100));
    return html`<g><title>run ${run + 1}: ${spellNumber(count)}</title><rect x="${round(run * width)}%" y="${100 - height}%" width="${round(width * 0.8)}%" height="${height}%"/></g>`;
  });
  return html`<svg class="columns" width="${counts.length * columnWidth}" height="40" role="img" aria-label="${counts.slice(0, 24).join(', ')}${counts.length > 24 ? ' …' : ''}">${columns}</svg>`;
}

function percent(share: number): number {
  return round(share * 100);
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
