import { ruleNames, rules } from '../../rules.ts';
import { html, type Markup } from './markup.ts';
import type { Page } from './page.ts';

/** The rules that the findings of a page break: their meaning, and how to fix them. */
export function drawRules({ fresh, accepted }: Page): Markup {
  const used = new Set([...fresh, ...accepted].map(({ rule }) => rule));
  if (used.size === 0) return html``;
  const parts = ruleNames
    .filter((rule) => used.has(rule))
    .map((rule) => {
      const { title, description, meaning, consequence, remedy } = rules[rule];
      return html`<div class="rule-text" id="rule-${rule}"><h3><code>${rule}</code> ${title}</h3>
<p>${withCode(description)} ${withCode(meaning)}</p>
<p><b>Why it matters.</b> ${withCode(consequence)}</p>
<p><b>How to fix it.</b> ${withCode(remedy)}</p></div>
`;
    });
  return html`<section id="rules" aria-labelledby="rules-title">
<h2 id="rules-title">How to fix it</h2>
${parts}</section>
`;
}

/** The backticks of Markdown become code. The texts of the rules have nothing else of Markdown. */
function withCode(text: string): readonly Markup[] {
  return text.split('`').map((part, index) => (index % 2 === 0 ? html`${part}` : html`<code>${part}</code>`));
}
