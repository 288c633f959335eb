import type { Finding } from '../../model.ts';
import { listHandles, spellCount, spellStatus } from '../finding-view.ts';
import { plural, spellNumber } from '../numbers.ts';
import { clip, html, type Markup } from './markup.ts';
import type { Page } from './page.ts';
import { drawHistory, drawStacks } from './stacks.ts';

/** A name in a sentence may be of any length. */
const storyMax = 1200;
const nameMax = 260;
const lineMax = 400;
/** So many runs and processes of a finding are listed. */
const listedMax = 24;

/** A finding as a card: its story in words, its handles, and its stacks behind a line each. */
export function drawCard(finding: Finding, id: string, page: Page): Markup {
  const { level, status, rule, message, fingerprint } = finding;
  const kind = status === 'new' ? level : 'accepted';
  return html`<article class="card ${kind}" id="${id}" aria-labelledby="${id}-title">
<header>
<span class="badge">${status === 'new' ? level : status}</span>
<h3 id="${id}-title"><a class="rule" href="#rule-${rule}">${rule}</a> ${clip(spellCount(finding), nameMax)}</h3>
<a class="fingerprint" href="#${id}" aria-label="Link to this finding, ${fingerprint}"><code>${fingerprint}</code></a>
</header>
<p class="story">${clip(message, storyMax)}</p>
${status === 'new' ? undefined : html`<p class="status">${clip(spellStatus(finding), lineMax)}</p>\n`}${drawHandles(finding)}${drawStacks(finding, page)}${drawHistory(finding, page)}${drawFacts(finding)}</article>
`;
}

function drawHandles(finding: Finding): Markup | undefined {
  const list = listHandles(finding, '→');
  if (list === undefined) return undefined;
  const { handles, rest, common } = list;
  const items = handles.map(({ value, name }) => {
    const named = name === '' ? undefined : html` <span class="name">${clip(name, nameMax)}</span>`;
    return html`<li><code>${value}</code>${named}</li>`;
  });
  const more = rest === '' ? undefined : html`<li class="dim">${rest}</li>`;
  const joined = common === '' ? undefined : html`<p class="name">${clip(common, nameMax)}</p>\n`;
  const inRows = handles.some(({ name }) => name !== '') ? ' rows' : '';
  return html`<div class="handles"><h4>${handles.length === 1 ? 'handle' : 'handles'}</h4>
<div><ul class="values${inRows}">${items}${more}</ul>
${joined}</div></div>
`;
}

/** The figures that a machine has of a finding, and that a person may want too. */
function drawFacts({ status, growth, runs, processes, suppression }: Finding): Markup | undefined {
  const facts: Markup[] = [];
  if (growth !== undefined) {
    const { iterations, grewIn, handlesPerIteration } = growth;
    const each = handlesPerIteration > 0 ? `+${handlesPerIteration}` : String(handlesPerIteration);
    facts.push(fact('growth', `${each} per iteration, grew in ${grewIn} of ${plural(iterations, 'iteration')}`));
  }
  if (runs !== undefined) facts.push(fact('in each run', listNumbers(runs.map(spellNumber), 'run')));
  if (processes !== undefined && processes.length > 1) {
    const parts = processes.map(({ pid, count }) => `${count} in ${pid}`);
    facts.push(fact('in processes', listNumbers(parts, 'process', 'processes')));
  }
  if (suppression !== undefined && status === 'new')
    facts.push(html`<div><dt>to suppress it</dt><dd><code>${clip(suppression, lineMax)}</code></dd></div>\n`);
  return facts.length === 0 ? undefined : html`<dl class="facts">${facts}</dl>\n`;
}

function fact(name: string, value: string): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`;
}

/** `3, 0, 2 and 7 more runs` */
function listNumbers(parts: readonly string[], one: string, several?: string): string {
  const rest = parts.length - listedMax;
  const shown = parts.slice(0, listedMax).join(', ');
  return rest > 0 ? `${shown} and ${plural(rest, `more ${one}`, `more ${several ?? `${one}s`}`)}` : shown;
}
