import type { OpenOverTime } from '../../model.ts';
import { spellDuration } from '../../text/duration.ts';
import { plural, spellNumber } from '../numbers.ts';
import { clip, html, listSome, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** So many types have a drawing, and so many moments a row in the table of figures. */
const typesMax = 24;
const momentsMax = 20;
const steadyMax = 40;
const typeMax = 60;
/** A drawing is stretched to the width that it gets: these are its own units. */
const [width, height] = [1000, 100];

/** The counts of one type, or of all types together. */
interface Series {
  readonly name: string;
  readonly counts: readonly number[];
  /** `error` or `warning` where handles of the type leak. */
  readonly tone: string;
}

/** How the number of open handles moved while the program ran: a drawing for each type, and the figures. */
export function drawOpenOverTime(page: Page): Markup {
  const { openOverTime } = page.report;
  if (openOverTime === undefined || openOverTime.timesMs.length < 2) return html``;
  const { timesMs } = openOverTime;
  const all = listSeries(openOverTime, page);
  const total: Series = { name: 'all types', counts: timesMs.map((_, moment) => sumAt(all, moment)), tone: '' };
  if (sum(total.counts) === 0) return html``;
  const steady = all.filter(({ counts }) => isSteady(counts));
  const moving = all.filter(({ counts }) => !isSteady(counts)).sort(compareSeries);
  const rows = listSome(
    moving,
    typesMax,
    (series) => drawRow(series, timesMs),
    (count) => html`<tr><td colspan="5">… ${plural(count, 'more type')}; the JSON report has them all</td></tr>\n`,
  );
  const [begin, end] = [spellMoment(timesMs[0]!, timesMs), spellMoment(timesMs.at(-1)!, timesMs)];
  return html`<section id="time" aria-labelledby="time-title">
<h2 id="time-title">Open over time</h2>
<p>The open handles while the program ran, counted at ${plural(timesMs.length, 'moment')}. Each drawing has its own scale, from 0 to the most.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Open handles over time, by type"><table class="time">
<thead><tr><th scope="col">type</th><th scope="col" class="axis"><span>${begin}</span> <span>${end}</span></th><th scope="col" class="figure">at first</th><th scope="col" class="figure">most</th><th scope="col" class="figure">at last</th></tr></thead>
<tbody>
${drawRow(total, timesMs)}${rows}</tbody></table></div>
${steady.length === 0 ? undefined : drawSteady(steady)}${drawFigures([total, ...moving.slice(0, typesMax)], timesMs)}</section>
`;
}

function listSeries({ types }: OpenOverTime, { fresh }: Page): readonly Series[] {
  const leaks = fresh.filter(({ rule, level }) => rule === 'leak' && level !== 'note');
  const toneOf = (type: string): string => {
    const levels = leaks.filter(({ object }) => object.type === type).map(({ level }) => level);
    return levels.includes('error') ? 'error' : levels.includes('warning') ? 'warning' : '';
  };
  return types.map(({ type, counts }) => ({ name: type, counts, tone: toneOf(type) }));
}

/** Those that grew most come first, and the largest among those that grew alike. */
function compareSeries(a: Series, b: Series): number {
  return growth(b) - growth(a) || Math.max(...b.counts) - Math.max(...a.counts) || (a.name < b.name ? -1 : 1);
}

function growth({ counts }: Series): number {
  return (counts.at(-1) ?? 0) - (counts[0] ?? 0);
}

function isSteady(counts: readonly number[]): boolean {
  return counts.every((count) => count === counts[0]);
}

function drawRow({ name, counts, tone }: Series, timesMs: readonly number[]): Markup {
  const [first, most, last] = [counts[0] ?? 0, Math.max(...counts), counts.at(-1) ?? 0];
  const peak = spellMoment(timesMs[counts.indexOf(most)] ?? 0, timesMs);
  const label = `${spellNumber(first)} at first, at most ${spellNumber(most)} at ${peak}, ${spellNumber(last)} at last`;
  return html`<tr class="${tone}"><th scope="row">${clip(name, typeMax)}${tone === '' ? undefined : html` <span class="badge">leaks</span>`}</th>
<td class="line">${drawLine(counts, timesMs, `${clip(name, typeMax)}: ${label}`)}</td>
<td class="figure">${spellNumber(first)}</td><td class="figure">${spellNumber(most)}</td><td class="figure">${spellNumber(last)}</td></tr>
`;
}

/** A line through the counts, and the area below it. A count holds until the next one. */
function drawLine(counts: readonly number[], timesMs: readonly number[], label: string): Markup {
  const [begin, end] = [timesMs[0]!, timesMs.at(-1)!];
  const most = Math.max(1, ...counts);
  const points = counts.map((count, moment) => {
    const x = round(((timesMs[moment]! - begin) / Math.max(1, end - begin)) * width);
    return { x, y: round(height - (count / most) * (height - 6)) };
  });
  const line = points.map(({ x, y }, index) => (index === 0 ? `M${x} ${y}` : `H${x}V${y}`)).join('');
  return html`<svg viewBox="0 0 ${width} ${height}" width="100%" height="44" preserveAspectRatio="none" role="img" aria-label="${label}"><path class="area" d="${line}V${height}H0Z" fill="#4f7fc4" fill-opacity="0.2"/><path class="edge" d="${line}" fill="none" stroke="#4f7fc4" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>`;
}

/** `Without a change: 3 Key, 2 Directory.` */
function drawSteady(steady: readonly Series[]): Markup {
  const shown = steady
    .slice(0, steadyMax)
    .map(({ name, counts }) => `${spellNumber(counts[0] ?? 0)} ${clip(name, typeMax)}`);
  const rest = steady.length - shown.length;
  const more = rest > 0 ? ` and ${plural(rest, 'more type')}` : '';
  return html`<p class="dim">Without a change: ${shown.join(', ')}${more}.</p>
`;
}

/** The counts as a table, for those who cannot see the drawings, or want to copy them. */
function drawFigures(series: readonly Series[], timesMs: readonly number[]): Markup {
  const moments = pickMoments(timesMs.length);
  const rows = moments.map((moment) => {
    const cells = series.map(({ counts }) => html`<td class="figure">${spellNumber(counts[moment] ?? 0)}</td>`);
    return html`<tr><th scope="row">${spellMoment(timesMs[moment]!, timesMs)}</th>${cells}</tr>\n`;
  });
  const heads = series.map(({ name }) => html`<th scope="col" class="figure">${clip(name, typeMax)}</th>`);
  return html`<details class="figures"><summary>The figures${moments.length < timesMs.length ? ` at ${plural(moments.length, 'moment')}` : ''}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Figures of the open handles over time"><table>
<thead><tr><th scope="col">after</th>${heads}</tr></thead>
<tbody>
${rows}</tbody></table></div></details>
`;
}

/** `0.25 s`, so fine that two of the moments seldom look the same. */
function spellMoment(timeMs: number, timesMs: readonly number[]): string {
  if (timeMs === 0) return '0 s';
  const endMs = timesMs.at(-1)!;
  return endMs < 100_000 ? `${(timeMs / 1000).toFixed(endMs < 10_000 ? 2 : 1)} s` : spellDuration(timeMs);
}

/** Some of so many moments, the first and the last among them. */
function pickMoments(count: number): readonly number[] {
  const most = Math.min(count, momentsMax);
  return Array.from({ length: most }, (_, index) => Math.round((index * (count - 1)) / Math.max(1, most - 1)));
}

function sumAt(all: readonly Series[], moment: number): number {
  return sum(all.map(({ counts }) => counts[moment] ?? 0));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
