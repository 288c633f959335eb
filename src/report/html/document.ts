import type { Report } from '../../model.ts';
import { baseName } from '../paths.ts';
import { spellCommand, spellFacts } from '../sections/head.ts';
import { reachVerdict } from '../sections/verdict.ts';
import { drawFindings, drawGallery } from './findings.ts';
import { drawFlameGraph } from './flame-graph.ts';
import { drawHandlesByType } from './handles-by-type.ts';
import { clip, html, type Markup, raw } from './markup.ts';
import { drawOpenOverTime } from './open-over-time.ts';
import type { Page } from './page.ts';
import { drawGaps, drawMissingSymbols, drawProcessTree, drawSuppressionLists } from './remarks.ts';
import { drawRules } from './rule-texts.ts';
import { script } from './script.ts';
import { styles } from './styles.ts';

/**
 * The page may do nothing but show itself: it loads nothing, sends nothing, and runs no style sheet and no script but
 * the two of this tool. SHA-256 in Base64, as the policy wants it; a test compares them with the texts.
 */
const stylesHash = 'w2WVZlOu9MzxPbarFqw/CaQwvQjR83tTyRUj8zN/mMc=';
const scriptHash = 'TAWB3bewGiozZVGWPxXww1f4BvJpOR0lQVBKRxcs230=';
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${stylesHash}'`,
  `script-src 'sha256-${scriptHash}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const commandMax = 2000;
const programMax = 80;
/** With more cards than that, a printed page has the stacks that were open on the screen, and no others. */
const printedInFull = 25;

/** The whole page. */
export function drawDocument(page: Page): string {
  const { report } = page;
  const verdict = reachVerdict(report, page.options);
  const gallery = drawGallery(page);
  const sections: readonly (readonly [id: string, name: string, content: Markup])[] = [
    ['findings', 'Findings', drawFindings(gallery, page)],
    ['types', 'Handles by type', drawHandlesByType(page)],
    ['time', 'Open over time', drawOpenOverTime(page)],
    ['flame', 'Left open', drawFlameGraph(page, gallery.ids)],
    ['processes', 'Processes', drawProcessTree(page)],
    ['gaps', report.completeness.complete ? 'Good to know' : 'Not seen', drawGaps(page)],
    ['symbols', 'Missing names', drawMissingSymbols(page)],
    ['suppressions', 'Suppressions', drawSuppressionLists(page)],
    ['rules', 'How to fix it', drawRules(page)],
  ];
  const shown = sections.filter(([, , { text }]) => text !== '');
  const program = clip(baseName(report.target.command[0] ?? 'the program'), programMax);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${raw(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="${report.tool.name} ${report.tool.version}">
<title>${program}: ${clip(verdict.text, commandMax)}</title>
<style>${raw(styles)}</style>
</head>
<body class="${gallery.ids.size > printedInFull ? 'many' : 'few'}">
<a class="past" href="#main">Go to the findings</a>
${drawHead(report, verdict)}
<div class="page columns-of-page">
${shown.length > 1 ? drawContents(shown) : undefined}<main id="main"${shown.length > 1 ? undefined : html` class="alone"`}>
${shown.map(([, , content]) => content)}</main>
</div>
${drawFooter(page)}<script>${raw(script)}</script>
</body>
</html>
`.text;
}

const signs = { errors: '✗', warnings: '!', clean: '✓', unsure: '?' } as const;

function drawHead(report: Report, { outcome, text }: ReturnType<typeof reachVerdict>): Markup {
  const { tool, completeness } = report;
  const caution = completeness.complete
    ? undefined
    : html`<p class="caution">Something could not be seen, and may hide findings: <a href="#gaps">see below</a>.</p>\n`;
  return html`<header class="verdict ${outcome}"><div>
<p class="brand"><b>${tool.name}</b> ${tool.version}</p>
<h1><span class="sign" aria-hidden="true">${signs[outcome]}</span> <span>${clip(text, commandMax)}</span></h1>
<p class="command"><code>${clip(spellCommand(report), commandMax)}</code></p>
<ul class="facts">${spellFacts(report).map((fact) => html`<li>${fact}</li>`)}</ul>
${caution}</div></header>`;
}

function drawContents(sections: readonly (readonly [id: string, name: string, content: Markup])[]): Markup {
  return html`<nav class="contents" aria-label="Contents"><ul>
${sections.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>\n`)}</ul></nav>
`;
}

function drawFooter({ report: { tool } }: Page): Markup {
  return html`<footer class="page"><p class="end">Made by ${tool.name} ${tool.version}. The page is whole: it loads nothing and sends nothing.</p></footer>
`;
}
