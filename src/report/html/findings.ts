import type { Finding, Level } from '../../model.ts';
import { spellCount } from '../finding-view.ts';
import { plural, spellNumber } from '../numbers.ts';
import { rank } from '../selection.ts';
import { spellSiteOf } from '../stacks/stack-view.ts';
import { drawCard } from './cards.ts';
import { clip, html, listSome, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** A page has so many cards at most, and so many characters of them. A browser can show those of `--all`, too. */
const limits = { cards: 100, characters: 1_500_000 };
const limitsOfAll = { cards: 2_000, characters: 8_000_000 };
/** The findings that have no card have a row each, at most so many. */
const rowsMax = 10_000;
/** More rows are folded, because a browser takes seconds to lay thousands out. */
const openRowsMax = 200;
/** With a few cards, a list of them says nothing that they do not say. */
const indexMin = 4;

const siteMax = 120;
const countMax = 60;
/** The site is looked for in so many frames. A recorder keeps fewer. */
const framesMax = 100;

/** The findings of a page: those that have a card, and those for which there is no room. */
interface Gallery {
  /** The cards of findings by the findings, in the order of the page; their ids by the same. */
  readonly cards: ReadonlyMap<Finding, Markup>;
  readonly ids: ReadonlyMap<Finding, string>;
  readonly others: readonly Finding[];
}

/** Draws the cards of the worst findings, until there is no more room. */
export function drawGallery(page: Page): Gallery {
  const { cards: cardsMax, characters } = page.options.showAll === true ? limitsOfAll : limits;
  const all = [...page.fresh, ...page.accepted];
  const worst = [...rankFindings(page.fresh), ...rankFindings(page.accepted)];
  const names = new Set<string>();
  const drawn = new Map<Finding, readonly [id: string, card: Markup]>();
  let left = characters;
  for (const finding of worst.slice(0, cardsMax)) {
    const id = nameCard(finding, names);
    const card = drawCard(finding, id, page);
    left -= card.text.length;
    if (left < 0 && drawn.size > 0) break;
    drawn.set(finding, [id, card]);
  }
  const shown = all.flatMap((finding) => {
    const each = drawn.get(finding);
    return each === undefined ? [] : [[finding, each] as const];
  });
  return {
    cards: new Map(shown.map(([finding, [, card]]) => [finding, card])),
    ids: new Map(shown.map(([finding, [id]]) => [finding, id])),
    others: all.filter((finding) => !drawn.has(finding)),
  };
}

function rankFindings(findings: readonly Finding[]): readonly Finding[] {
  return rank(findings.map((finding) => ({ ...kindOf(finding), finding }))).map(({ item }) => item.finding);
}

function kindOf({ level, rule, object }: Finding): Pick<Finding, 'level' | 'rule'> & { readonly type: string } {
  return { level, rule, type: object.type };
}

/** The same finding has the same id in every report, so that a link to it stays good. */
function nameCard({ fingerprint }: Finding, taken: Set<string>): string {
  const plain = /^[0-9a-f]{1,32}$/.test(fingerprint) ? `finding-${fingerprint}` : 'finding';
  let id = plain;
  for (let number = 2; taken.has(id); number += 1) id = `${plain}-${number}`;
  taken.add(id);
  return id;
}

/** The section of the findings: a filter, a list of the cards, the cards, and rows for the rest. */
export function drawFindings({ cards, ids, others }: Gallery, page: Page): Markup {
  const all = [...page.fresh, ...page.accepted];
  if (all.length === 0) return html``;
  const fresh = page.fresh.flatMap((finding) => cards.get(finding) ?? []);
  const accepted = page.accepted.flatMap((finding) => cards.get(finding) ?? []);
  return html`<section id="findings" aria-labelledby="findings-title">
<h2 id="findings-title">Findings</h2>
${all.length > 1 ? drawFilter(all) : undefined}${cards.size >= indexMin ? drawIndex(ids) : undefined}${fresh}
${accepted.length === 0 ? undefined : html`<h3 class="divider">Known and suppressed</h3>\n${accepted}`}${drawRest(others, all.length)}</section>
`;
}

/** Choices that work by the style sheet alone, and a search that the script brings to life. */
function drawFilter(all: readonly Finding[]): Markup {
  const kinds: readonly (readonly [Level | 'accepted', string, readonly Finding[]])[] = [
    ['error', 'error', all.filter(({ status, level }) => status === 'new' && level === 'error')],
    ['warning', 'warning', all.filter(({ status, level }) => status === 'new' && level === 'warning')],
    ['note', 'note', all.filter(({ status, level }) => status === 'new' && level === 'note')],
    ['accepted', 'accepted', all.filter(({ status }) => status !== 'new')],
  ];
  const boxes = kinds
    .filter(([, , findings]) => findings.length > 0)
    .map(
      ([kind, noun, { length }]) =>
        html`<label class="chip ${kind}"><input type="checkbox" id="show-${kind}" checked autocomplete="off"> ${kind === 'accepted' ? `${spellNumber(length)} ${noun}` : plural(length, noun)}</label>\n`,
    );
  return html`<div class="filter" role="search" aria-label="Findings">
<div role="group" aria-label="Levels that are shown" class="chips">${boxes}</div>
<div class="tools" hidden><label>Filter <input type="search" id="search" autocomplete="off" spellcheck="false" placeholder="function, file, type…"></label> <output id="matches" for="search"></output> <button type="button" id="unfold" aria-pressed="false">Open all stacks</button></div>
</div>
`;
}

function drawIndex(ids: ReadonlyMap<Finding, string>): Markup {
  const rows = [...ids].map(([finding, id]) => drawRow(finding, id));
  return html`<details class="index"${ids.size <= 24 ? html` open` : undefined}>
<summary>At a glance</summary>
${drawTable('Findings with a card', rows)}</details>
`;
}

function drawRest(others: readonly Finding[], total: number): Markup | undefined {
  if (others.length === 0) return undefined;
  const rows = listSome(
    others,
    rowsMax,
    (finding) => drawRow(finding),
    (count) => html`<tr><td colspan="5">… ${plural(count, 'more finding')}; the JSON report has them all</td></tr>\n`,
  );
  return html`<details id="others"${others.length <= openRowsMax ? html` open` : undefined}>
<summary><h3>${plural(others.length, 'more finding')}</h3></summary>
<p class="dim">Shown as cards: ${total - others.length} of ${plural(total, 'finding')}, the worst first. The others are rows here, and whole in the JSON report.</p>
${drawTable('Findings without a card', rows)}</details>
`;
}

function drawTable(name: string, rows: readonly Markup[]): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${name}"><table>
<thead><tr><th scope="col">level</th><th scope="col">what</th><th scope="col">site</th><th scope="col">rule</th><th scope="col">fingerprint</th></tr></thead>
<tbody>
${rows}</tbody></table></div>
`;
}

function drawRow(finding: Finding, id?: string): Markup {
  const { level, status, rule, stacks, fingerprint } = finding;
  const site = clip(spellSiteOf((stacks.offending ?? stacks.opened)?.slice(0, framesMax)), siteMax);
  const where = id === undefined ? html`${site}` : html`<a href="#${id}">${site}</a>`;
  const kind = status === 'new' ? level : 'accepted';
  return html`<tr class="${kind}"><td>${status === 'new' ? level : status}</td><td>${clip(spellCount(finding), countMax)}</td><td><code>${where}</code></td><td>${rule}</td><td><code>${fingerprint}</code></td></tr>
`;
}
