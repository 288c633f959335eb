import type { Finding } from '../../model.ts';
import { spellCount } from '../finding-view.ts';
import { plural } from '../numbers.ts';
import { baseName } from '../paths.ts';
import { type Flame, growFlames } from './flame-tree.ts';
import { clip, html, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** So many leaks, those with the most handles, and so many frames, the widest, have a place in the graph. */
const leaksMax = 1000;
const framesMax = 500;
/** Part of the whole below which a frame is too narrow to be seen. */
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
  const total = leaks.reduce((sum, { count }) => sum + count, 0);
  const shown = leaks.slice(0, leaksMax);
  const flames = growFlames(shown, spellCount, page);
  const chosen = chooseFrames(flames, total);
  const boxes: Markup[] = [];
  let depthMax = 1;
  const place = (level: readonly Flame[], x: number, depth: number): void => {
    let left = x;
    for (const flame of level) {
      const width = flame.count / total;
      if (chosen.has(flame)) {
        depthMax = Math.max(depthMax, depth + 1);
        boxes.push(drawFrame(flame, { x: left, width, depth, total, id: ids.get(flame.finding) }));
        place(flame.below, left, depth + 1);
      }
      left += width;
    }
  };
  place(flames, 0, 1);
  const all = `${plural(total, 'handle')} left open by ${plural(leaks.length, 'leak')}`;
  const note =
    shown.length < leaks.length
      ? html`<p class="dim">Drawn: the ${leaksMax} leaks with the most handles.</p>\n`
      : undefined;
  return html`<section id="flame" aria-labelledby="flame-title">
<h2 id="flame-title">What is open, by opening stack</h2>
<p>The width of a box is the number of handles that were opened below it. The outermost function is at the top; the leaks hang at the bottom. Each box leads to the largest leak below it.</p>
<p class="skip"><a href="#after-flame">Go past the graph</a></p>
<div class="flame-tools" hidden><button type="button" id="whole">Show the whole graph</button> <span id="frame"></span></div>
<svg class="flame" width="100%" height="${depthMax * rowHeight}" role="group" aria-labelledby="flame-title">
<svg x="0%" y="0" width="100%" height="${rowHeight - 1}"><rect class="all" width="100%" height="100%"/><text x="6" y="15">${all}</text></svg>
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

/** Where a frame is in the graph, as parts of the whole, and the id of its finding's card. */
interface Place {
  readonly x: number;
  readonly width: number;
  readonly depth: number;
  readonly total: number;
  readonly id: string | undefined;
}

function drawFrame(flame: Flame, { x, width, depth, total, id }: Place): Markup {
  const { name, place, own, count, isLeaf, finding } = flame;
  const where = place === '' ? '' : ` ${place}`;
  const share = Number(((count / total) * 100).toFixed(1));
  const title = `${clip(name + where, titleMax)}: ${plural(count, 'handle')}, ${share} %`;
  const short = place === '' ? name : `${name} ${baseName(place)}`;
  const level = finding.status === 'new' ? finding.level : 'accepted';
  const kind = isLeaf ? `leaf ${level}` : own ? `own shade${shadeOf(name)}` : 'system';
  // A text in a box that is narrower than a few letters is not seen.
  const text = width < 0.012 ? undefined : html`<text x="5" y="15">${clip(short, nameMax)}</text>`;
  return html`<a href="#${id ?? 'others'}" class="${kind}"><title>${title}</title><svg x="${percent(x)}%" y="${depth * rowHeight}" width="${percent(width)}%" height="${rowHeight - 1}"><rect width="100%" height="100%"/>${text}</svg></a>
`;
}

function percent(part: number): number {
  return Number((part * 100).toFixed(3));
}

/** One of four shades of a colour, the same for the same name, so that neighbours can be told apart. */
function shadeOf(name: string): number {
  let sum = 0;
  for (let index = 0; index < Math.min(name.length, 64); index += 1) sum = (sum * 31 + name.charCodeAt(index)) % 9973;
  return sum % 4;
}
