import type { Finding, Frame, Stack } from '../../model.ts';
import { stacksOf } from '../finding-view.ts';
import { plural } from '../numbers.ts';
import { spellEvent, spellHistoryTitle, spellMoment } from '../stacks/history-view.ts';
import { excerptOf, noStack, siteFrame, spellCalls, spellFrame } from '../stacks/stack-view.ts';
import { clip, html, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** Longer stacks are cut: this many frames of the innermost, from the site on, and of the outermost are kept. */
const innermost = 12;
const fromSite = 28;
const outermost = 8;

const nameMax = 240;
const placeMax = 160;
const chainMax = 200;
const sourceMax = 200;

/** How many lines of source before and after the one at the site. A caller has its own line alone. */
const siteContext = 2;

/** The stacks of a finding, the mistake first, each folded to one line. */
export function drawStacks(finding: Finding, page: Page): readonly Markup[] {
  return stacksOf(finding).map(
    ([label, stack], index) => html`<details class="stack${index === 0 ? ' first' : ''}">
<summary><span class="label">${label}</span> ${drawChain(stack)}</summary>
${drawFrames(stack, page)}
</details>
`,
  );
}

/** The calls by which the value came to the mistake, each with its stack folded to one line. */
export function drawHistory(finding: Finding, page: Page): Markup | undefined {
  const { history } = finding;
  if (history === undefined) return undefined;
  const events = history.events.map(
    (event) => html`<details class="stack">
<summary><span class="label">${event.event === 'opened' ? `${event.life}. ` : ''}${clip(spellEvent(finding, event), nameMax)}</span> <span class="dim">${spellMoment(event)}</span> ${drawChain(event.stack)}</summary>
${drawFrames(event.stack, page)}
</details>
`,
  );
  return html`<h4>${spellHistoryTitle(history)}</h4>
${events}`;
}

/** `open_log (log.c:4) ← main (main.c:61)` */
function drawChain(stack: Stack): Markup {
  const [site, ...callers] = spellCalls(stack);
  if (site === undefined) return html`<span class="dim">${noStack}</span>`;
  const shown = clip(site, chainMax);
  const rest = callers.length === 0 ? '' : clip(` ← ${callers.slice(0, 8).join(' ← ')}`, chainMax);
  return html`<code><b>${shown}</b>${rest}${callers.length > 8 ? ' ← …' : ''}</code>`;
}

function drawFrames(stack: Stack, page: Page): Markup {
  if (stack.length === 0) return html`<p class="dim">${noStack}</p>`;
  const site = siteFrame(stack);
  const items = keep(stack, site === undefined ? 0 : stack.indexOf(site)).map((each) =>
    typeof each === 'number'
      ? html`<li class="dim cut">… ${plural(each, 'more frame')}</li>
`
      : drawFrame(each, each === site, page),
  );
  return html`<ol class="frames">
${items}</ol>`;
}

/** The frames to show, with numbers in the places of those that are not. */
function keep(stack: Stack, site: number): readonly (Frame | number)[] {
  if (stack.length <= innermost + fromSite + outermost) return stack;
  const isKept = (index: number): boolean =>
    index < innermost || (index >= site - 2 && index < site + fromSite) || index >= stack.length - outermost;
  const kept: (Frame | number)[] = [];
  for (const [index, frame] of stack.entries()) {
    const last = kept.at(-1);
    if (isKept(index)) kept.push(frame);
    else if (typeof last === 'number') kept[kept.length - 1] = last + 1;
    else kept.push(1);
  }
  return kept;
}

function drawFrame(frame: Frame, isSite: boolean, { options, view }: Page): Markup {
  const { name, place, own } = spellFrame(frame, view);
  const kind = isSite ? 'site' : own ? 'own' : 'dim';
  const where = place === '' ? undefined : html` <span class="place">${clip(place, placeMax)}</span>`;
  const source = own || isSite ? drawSource(frame, isSite ? siteContext : 0, { options }) : undefined;
  return html`<li class="${kind}"><code>${clip(name, nameMax)}</code>${where}${source}</li>
`;
}

function drawSource(frame: Frame, context: number, { options }: Pick<Page, 'options'>): Markup | undefined {
  const lines = excerptOf(frame, options, context);
  if (lines.length === 0) return undefined;
  const digits = String(lines.at(-1)?.number).length;
  const rows = lines.map(({ number, text, marked }) => {
    const line = html`<span class="number">${String(number).padStart(digits)}</span> ${clip(text, sourceMax)}`;
    return marked ? html`<mark>${line}</mark>\n` : html`${line}\n`;
  });
  return html`
<pre class="source"><code>${rows}</code></pre>`;
}
