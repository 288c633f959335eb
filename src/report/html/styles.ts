/**
 * The style sheet of a page. It is constant, so that the page's policy can name it by its hash: nothing from a report
 * may get into it.
 */
export const styles: string = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --surface: #fff; --sunken: #f0f2f5; --line: #d5dae1;
  --text: #1c2330; --dim: #586273; --link: #0b57c2; --focus: #0b57c2;
  --error: #b3141f; --error-back: #fdecec; --warning: #8a4b00; --warning-back: #fff3dc;
  --note: #1f5fae; --note-back: #e8f1fd; --good: #14693a; --good-back: #e5f6eb;
  --accepted: #586273; --accepted-back: #eceff3; --mark: #fff3b8; --value: #4f7fc4;
  --shade0: #f3c27c; --shade1: #f6d08f; --shade2: #f2b56b; --shade3: #f8dca6; --system: #dde2e9;
  --mono: ui-monospace, "Cascadia Mono", Consolas, "Liberation Mono", Menlo, monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #12161d; --surface: #1a202a; --sunken: #141922; --line: #333d4b;
    --text: #e6eaf0; --dim: #a0abba; --link: #8ab8ff; --focus: #8ab8ff;
    --error: #ff938f; --error-back: #41191c; --warning: #f5c06a; --warning-back: #3b2a0d;
    --note: #8ab8ff; --note-back: #172c4a; --good: #7ed9a0; --good-back: #143323;
    --accepted: #a0abba; --accepted-back: #2a323e; --mark: #4a431b; --value: #6f9bdb;
    --shade0: #7a4f17; --shade1: #85591d; --shade2: #6d4513; --shade3: #8f6324; --system: #353f4d;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
code, pre { font-family: var(--mono); font-size: 0.875em; unicode-bidi: isolate; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
h1, h2, h3, h4 { line-height: 1.25; margin: 0; }
h2 { font-size: 1.4rem; margin: 0 0 0.75rem; }
p, ul, ol, dl { margin: 0 0 0.75rem; }
.dim { color: var(--dim); }
.past { position: absolute; left: 1rem; top: -4rem; background: var(--surface); padding: 0.5rem 1rem; z-index: 2; }
.past:focus { top: 0.5rem; }

.page { max-width: 92rem; margin: 0 auto; padding: 0 1.25rem 3rem; }
section { margin: 0 0 2.75rem; scroll-margin-top: 1rem; }

.verdict { border-bottom: 1px solid var(--line); background: var(--surface); border-top: 6px solid var(--tone); margin-bottom: 1.5rem; }
.verdict > div { max-width: 92rem; margin: 0 auto; padding: 1.5rem 1.25rem 1.25rem; }
.verdict h1 { display: flex; gap: 0.7rem; align-items: flex-start; font-size: clamp(1.4rem, 1.1rem + 1.4vw, 2.1rem); }
.verdict .sign {
  flex: none; width: 1.35em; height: 1.35em; border-radius: 50%; display: grid; place-items: center;
  font-size: 0.85em; color: var(--tone); background: var(--tone-back);
}
.verdict .command { margin: 0.9rem 0 0; }
.verdict .command code { background: var(--sunken); border: 1px solid var(--line); border-radius: 6px; padding: 0.3rem 0.55rem; display: inline-block; }
.verdict .facts { list-style: none; padding: 0; margin: 0.8rem 0 0; display: flex; flex-wrap: wrap; gap: 0.15rem 1.4rem; color: var(--dim); }
.errors { --tone: var(--error); --tone-back: var(--error-back); }
.warnings, .unsure { --tone: var(--warning); --tone-back: var(--warning-back); }
.clean { --tone: var(--good); --tone-back: var(--good-back); }
.brand { margin: 0 0 0.6rem; color: var(--dim); font-size: 0.85rem; letter-spacing: 0.02em; }
.brand b { color: var(--text); }
.caution { margin: 1rem 0 0; padding: 0.6rem 0.9rem; border-left: 4px solid var(--warning); background: var(--warning-back); border-radius: 0 6px 6px 0; }

.contents { margin: 0 0 1.5rem; }
.contents ul { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; }
.contents a { display: inline-block; padding: 0.2rem 0; }
@media (min-width: 75rem) {
  .columns-of-page { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 2.5rem; align-items: start; }
  .contents { position: sticky; top: 1rem; }
  .contents ul { flex-direction: column; border-left: 1px solid var(--line); padding-left: 1rem; gap: 0.1rem; }
}

.filter { display: flex; flex-wrap: wrap; gap: 0.75rem 1.5rem; align-items: center; margin: 0 0 1rem; }
.chips { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.chip {
  display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.25rem 0.75rem 0.25rem 0.55rem; cursor: pointer;
  border: 1px solid currentColor; border-radius: 999px; color: var(--tone); background: var(--tone-back); font-weight: 600;
}
.chip input { accent-color: var(--tone); width: 1rem; height: 1rem; margin: 0; }
.error { --tone: var(--error); --tone-back: var(--error-back); }
.warning { --tone: var(--warning); --tone-back: var(--warning-back); }
.note { --tone: var(--note); --tone-back: var(--note-back); }
.accepted { --tone: var(--accepted); --tone-back: var(--accepted-back); }
.tools { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: center; }
[hidden] { display: none !important; }
input[type="search"], button {
  font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--dim); border-radius: 6px; padding: 0.25rem 0.6rem;
}
input[type="search"] { width: min(16rem, 60vw); }
input::placeholder { color: var(--dim); opacity: 1; }
button { cursor: pointer; }
button:hover { background: var(--sunken); }
output { color: var(--dim); }
body:has(#show-error:not(:checked)) :is(.card, tr).error,
body:has(#show-warning:not(:checked)) :is(.card, tr).warning,
body:has(#show-note:not(:checked)) :is(.card, tr).note,
body:has(#show-accepted:not(:checked)) :is(.card, tr).accepted { display: none; }

.index { margin: 0 0 1.25rem; }
.index > summary { cursor: pointer; font-weight: 600; padding: 0.2rem 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); margin: 0.4rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.925rem; }
th, td { text-align: left; padding: 0.4rem 0.8rem; vertical-align: top; }
thead th { color: var(--dim); font-weight: 600; border-bottom: 1px solid var(--line); white-space: nowrap; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; min-width: 6.2rem; }
tr:is(.error, .warning, .note, .accepted) td:first-child { color: var(--tone); font-weight: 600; }
:is(.index, #others) :is(td:first-child, td:nth-child(4)) { white-space: nowrap; }
:is(.index, #others) td:last-child { color: var(--dim); white-space: nowrap; }
:is(.index, #others) td:nth-child(2) { min-width: 6rem; }
:is(.index, #others) td:nth-child(3) { min-width: 10rem; }
.figure { text-align: right; font-variant-numeric: tabular-nums; }
td.bar { min-width: 8rem; width: 50%; font-variant-numeric: tabular-nums; }
td.bar svg { width: calc(100% - 5rem); vertical-align: middle; margin-right: 0.6rem; }
.track { fill: var(--sunken); }
.value, .columns rect { fill: var(--value); }
.series { list-style: none; padding: 0; display: grid; gap: 0.75rem; }
.types-runs { margin: 1.5rem 0 0.75rem; font-size: 1.1rem; }
.series li { display: grid; grid-template-columns: 8rem minmax(0, max-content) 1fr; gap: 0.25rem 1rem; align-items: center; }
.series .type { font-weight: 600; }
.columns { border-bottom: 1px solid var(--dim); display: block; max-width: 100%; }

table.time th:first-child { min-width: 7.5rem; }
table.time .badge { display: inline-block; text-transform: none; letter-spacing: 0; }
table.time td.figure, table.time th[scope="row"] { vertical-align: middle; }
table.time tbody tr:first-child { background: var(--sunken); }
th.axis { min-width: 12rem; width: 100%; font-weight: 400; }
th.axis span:last-child { float: right; }
td.line svg { display: block; }
td.line .area { fill: var(--tone, var(--value)); fill-opacity: 0.2; }
td.line .edge { stroke: var(--tone, var(--value)); }
table.time tr:is(.error, .warning) th { color: var(--tone); }
.figures > summary { cursor: pointer; padding: 0.2rem 0; }

.card {
  background: var(--surface); border: 1px solid var(--line); border-left: 5px solid var(--tone); border-radius: 8px;
  padding: 1rem 1.15rem; margin: 0 0 1rem; scroll-margin-top: 1rem;
}
.card:target { box-shadow: 0 0 0 3px var(--focus); }
.card header { display: flex; flex-wrap: wrap; gap: 0.35rem 0.7rem; align-items: baseline; margin-bottom: 0.6rem; }
.badge {
  color: var(--tone); background: var(--tone-back); border-radius: 4px; padding: 0.1rem 0.5rem; font-size: 0.75rem; font-weight: 700;
  letter-spacing: 0.05em; text-transform: uppercase;
}
.card h3 { font-size: 1.05rem; }
.card .rule { font-family: var(--mono); font-size: 0.95em; margin-right: 0.35rem; }
.fingerprint { margin-left: auto; color: var(--dim); text-decoration: none; font-size: 0.9rem; }
.fingerprint:hover { text-decoration: underline; }
.story { max-width: 78ch; }
.status { color: var(--dim); font-style: italic; }
#others > summary { cursor: pointer; margin: 1.75rem 0 0.75rem; }
#others > summary h3 { display: inline; font-size: 1.1rem; }
.divider { font-size: 1.1rem; margin: 1.75rem 0 0.75rem; }
.handles { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 0 0 0.75rem; }
.handles h4 { font-size: 0.85rem; font-weight: 600; color: var(--dim); padding-top: 0.1rem; min-width: 4.2rem; }
.handles > div { flex: 1; min-width: min(16rem, 100%); }
.values { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 0.1rem 0.9rem; }
.values.rows { display: block; }
.name { font-family: var(--mono); font-size: 0.875em; margin: 0; unicode-bidi: isolate; }
.values.rows code { display: inline-block; min-width: 5ch; margin-right: 0.75rem; }
.facts dt { display: inline; color: var(--dim); }
.facts dt::after { content: ": "; }
.facts dd { display: inline; margin: 0; }
.card dl.facts { margin: 0.75rem 0 0; font-size: 0.925rem; }

.stack { border-top: 1px solid var(--line); }
.stack > summary { cursor: pointer; padding: 0.4rem 0; }
.stack > summary .label { color: var(--dim); margin-right: 0.4rem; }
.stack.first > summary .label { color: var(--tone); font-weight: 600; }
.stack > summary b { font-weight: 600; }
.frames { list-style: none; margin: 0 0 0.75rem; padding: 0.5rem 0 0.5rem 0.25rem; border-left: 2px solid var(--line); }
.frames li { padding: 0.1rem 0.75rem; }
.frames li.dim > code { color: var(--dim); }
.frames li.own > code, .frames li.site > code { font-weight: 600; }
.frames li.site { border-left: 3px solid var(--tone); margin-left: calc(-0.25rem - 2px); padding-left: calc(0.75rem + 1px); }
.place { color: var(--dim); font-family: var(--mono); font-size: 0.875em; margin-left: 0.6rem; unicode-bidi: isolate; }
.source {
  margin: 0.3rem 0 0.5rem; padding: 0.45rem 0.7rem; background: var(--sunken); border-radius: 6px; line-height: 1.5;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.source .number { color: var(--dim); user-select: none; padding-right: 0.8rem; }
.source mark { color: inherit; background: var(--mark); display: inline-block; min-width: 100%; margin: 0 -0.3rem; padding: 0 0.3rem; border-radius: 3px; }

.skip { margin: 0; height: 0; overflow: hidden; }
.skip:focus-within { height: auto; margin-bottom: 0.5rem; overflow: visible; }
.flame-tools { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; margin-bottom: 0.6rem; min-height: 2.3rem; }
.flame { display: block; overflow: hidden; border-radius: 8px; font: 12px var(--mono); }
.flame rect { fill: var(--system); stroke: var(--page); stroke-width: 1px; }
.flame text { fill: var(--text); pointer-events: none; white-space: pre; }
.flame .all { fill: var(--line); }
.flame .shade0 rect { fill: var(--shade0); }
.flame .shade1 rect { fill: var(--shade1); }
.flame .shade2 rect { fill: var(--shade2); }
.flame .shade3 rect { fill: var(--shade3); }
.flame .leaf rect { fill: var(--tone-back); stroke: var(--tone); }
.flame .leaf text { fill: var(--tone); font-weight: 600; }
.flame .rest rect { fill: var(--sunken); stroke: var(--line); }
.flame .rest text { fill: var(--dim); }
.flame a:hover rect { stroke: var(--text); stroke-width: 2px; }
.flame a:focus-visible { outline: none; }
.flame a:focus-visible rect { stroke: var(--focus); stroke-width: 4px; }

.tree ul { list-style: none; padding-left: 1.4rem; margin: 0; border-left: 1px solid var(--line); }
.tree > ul { padding-left: 0; border: 0; }
.tree li { padding: 0.12rem 0; }
.process.found { font-weight: 600; }
.incomplete { border-left: 4px solid var(--warning); padding-left: 1rem; }
.rule-text { max-width: 78ch; margin-bottom: 1.5rem; scroll-margin-top: 1rem; }
.rule-text h3 { font-size: 1.05rem; margin-bottom: 0.4rem; }
.rule-text:target h3 { text-decoration: underline; text-decoration-thickness: 3px; text-decoration-color: var(--focus); }
.end { color: var(--dim); border-top: 1px solid var(--line); padding-top: 1rem; font-size: 0.9rem; }

@media (max-width: 40rem) {
  .page, .verdict > div { padding-left: 0.9rem; padding-right: 0.9rem; }
  .card { padding: 0.85rem 0.9rem; }
  th, td { padding: 0.4rem 0.5rem; }
  td.bar { min-width: 6rem; width: auto; }
  td.bar svg { width: calc(100% - 3.2rem); margin-right: 0.3rem; }
  .fingerprint { margin-left: 0; }
  table.time tr { display: grid; grid-template-columns: minmax(0, 1fr) 4.2rem 3.6rem 4rem; align-items: center; }
  table.time :is(th, td) { border: 0; }
  table.time tbody tr { border-top: 1px solid var(--line); }
  table.time :is(th.axis, td.line) { grid-column: 1 / -1; grid-row: 2; min-width: 0; padding-top: 0; }
  table.time thead th { font-size: 0.85rem; }
  .series li { grid-template-columns: 1fr; }
  .place { display: block; margin-left: 0; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media (forced-colors: active) {
  .flame rect { fill: Canvas; stroke: CanvasText; }
  .flame text, .flame .leaf text { fill: CanvasText; }
  .value, .columns rect { fill: CanvasText; }
  td.line .area { fill: CanvasText; }
  td.line .edge { stroke: CanvasText; }
  .flame a:focus-visible rect { stroke: Highlight; }
}
@media print {
  :root { color-scheme: light; --page: #fff; }
  html { font-size: 10pt; }
  .page { max-width: none; padding-left: 0; padding-right: 0; }
  .verdict > div { max-width: none; padding: 0.75rem 1rem; }
  .contents, .filter, .skip, .flame-tools, .past { display: none; }
  .columns-of-page { display: block; }
  .card { break-inside: auto; }
  .card header, h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  .few details::details-content { content-visibility: visible; block-size: auto; }
  a { color: inherit; text-decoration: none; }
  .verdict, .card, .flame, td.line, .badge, .sign, .source mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
