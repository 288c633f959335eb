import type { Finding } from '../../model.ts';
import { spellCount } from '../finding-view.ts';
import { plural } from '../numbers.ts';
import { baseName } from '../paths.ts';
import { type Flame, growFlames } from './flame-tree.ts';
import { clip, html, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** So many leaks, those with the most handles, and so many frames, the widest, have a place in the graph. */
const leaksMax = 1000;
const framesMax = 1200;
/** Frames that are a smaller part of the whole are too narrow to be seen: neighbours of that size are one. */
const shareMin = 0.0015;
const rowHeight = 22;

const nameMax = 120;
const titleMax = 300;

/** The handles that are left open, by the functions that led to their opening. */
export function drawFlameGraph(page: Page, ids: ReadonlyMap<Finding, string>): Markup {
  const leaks = [...page.fresh, ...page.accepted]
    .filter(({ rule }) => rule === 'leak')
    .sort((a, b) => b.count - a.count);
  if (leaks.length === 0) return html``;
  const total = sumUp(leaks);
  const shown = leaks.slice(0, leaksMax);
  const flames = growFlames(shown, spellCount, page);
  const chosen = chooseFrames(flames, total);
  const boxes: Markup[] = [];
  let depthMax = 1;
  const draw = (level: readonly Flame[], x: number, depth: number): void => {
    if (level.length === 0) return;
    depthMax = Math.max(depthMax, depth + 1);
    let left = x;
    for (const flame of level) {
      // The frames that are not chosen are the narrowest, and so the last.
      if (!chosen.has(flame)) break;
      boxes.push(drawFrame(flame, { left, width: flame.count / total, depth }, ids.get(flame.finding)));
      draw(flame.below, left, depth + 1);
      left += flame.count / total;
    }
    const rest = level.filter((flame) => !chosen.has(flame));
    if (rest.length > 0) boxes.push(drawRest(rest, { left, width: sumUp(rest) / total, depth }));
  };
  draw(flames, 0, 1);
  const all = `${plural(total, 'handle')} left open by ${plural(leaks.length, 'leak')}`;
  // The colours of the attributes are for a server that forbids style sheets.
  const note =
    shown.length < leaks.length
      ? html`<p class="dim">Drawn: the ${leaksMax} leaks with the most handles.</p>\n`
      : undefined;
  return html`<section id="flame" aria-labelledby="flame-title">
<h2 id="flame-title">Left open, by opening stack</h2>
<p>The width of a box is the number of handles that were opened below it. The outermost function is at the top; the leaks hang at the bottom. Each box leads to the largest leak below it.</p>
<p class="skip"><a href="#after-flame">Go past the graph</a></p>
<p class="flame-tools" hidden><span id="frame">A click on a box looks closer; another one goes to its finding.</span> <button type="button" id="whole" hidden>Show the whole graph</button></p>
<svg class="flame" fill="#dde2e9" width="100%" height="${depthMax * rowHeight}" role="group" aria-labelledby="flame-title">
<svg x="0%" y="0" width="100%" height="${rowHeight - 1}"><rect class="all" width="100%" height="100%"/><text x="6" y="15" fill="#000">${all}</text></svg>
${boxes}</svg>
${note}<span id="after-flame"></span></section>
`;
}

/** The widest frames. A frame is as wide as each of those below it, or wider, so none is without the one above. */
function chooseFrames(flames: readonly Flame[], total: number): ReadonlySet<Flame> {
  const all: Flame[] = [];
  const visit = (level: readonly Flame[]): void => {
    for (const flame of level) {
      if (flame.count / total < shareMin) continue;
      all.push(flame);
      visit(flame.below);
    }
  };
  visit(flames);
  return new Set(all.sort((a, b) => b.count - a.count).slice(0, framesMax));
}

function sumUp(all: readonly { readonly count: number }[]): number {
  return all.reduce((sum, { count }) => sum + count, 0);
}

/** The place of a box in the graph: parts of its width, and rows. */
interface Place {
  readonly left: number;
  readonly width: number;
  readonly depth: number;
}

function drawFrame(flame: Flame, place: Place, id: string | undefined): Markup {
  const { name, own, count, isLeaf, finding } = flame;
  const where = flame.place === '' ? '' : ` ${flame.place}`;
  const short = flame.place === '' ? name : `${name} ${baseName(flame.place)}`;
  const level = finding.status === 'new' ? finding.level : 'accepted';
  const kind = isLeaf ? `leaf ${level}` : own ? `own shade${shadeOf(name)}` : 'system';
  const title = html`${clip(name + where, titleMax)}: ${plural(count, 'handle')}, ${percent(place.width, 1)} %`;
  const box = drawBox(place, short);
  return html`<a href="#${id ?? 'others'}" class="${kind}"><title>${title}</title>${box}</a>\n`;
}

/** Frames that are too narrow, or for which there is no room, as one. */
function drawRest(rest: readonly Flame[], place: Place): Markup {
  const name = `… ${rest.length} more`;
  return html`<g class="rest"><title>${name}: ${plural(sumUp(rest), 'handle')}, ${percent(place.width, 1)} %</title>${drawBox(place, name)}</g>\n`;
}

function drawBox({ left, width, depth }: Place, name: string): Markup {
  // Fewer than a few letters of a text are nothing that one could read.
  const text = width < 0.012 ? undefined : html`<text x="5" y="15" fill="#000">${clip(name, nameMax)}</text>`;
  return html`<svg x="${percent(left)}%" y="${depth * rowHeight}" width="${percent(width)}%" height="${rowHeight - 1}"><rect width="100%" height="100%"/>${text}</svg>`;
}

function percent(part: number, digits: number = 3): number {
  return Number((part * 100).toFixed(digits));
}

/** One of four shades of a colour, the same for the same name, so that neighbours can be told apart. */
function shadeOf(name: string): number {
  let sum = 0;
  for (let index = 0; index < Math.min(name.length, 64); index += 1) sum = (sum * 31 + name.charCodeAt(index)) % 9973;
  return sum % 4;
}
