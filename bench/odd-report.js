// A report that no program makes: thousands of findings with deep stacks, and names with every character that a format
// may trip over. The benchmark of the reporters and their test share it.

/** @import { Finding, Frame, HandleObject, Report, Stack } from '../dist/model.js' */

/** Controls, separators, marks, punctuation, symbols, and every character that is invisible or not one. */
const odd = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{M}\p{P}\p{S}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u;

/** Texts that mean something to a format. */
const traps = [
  ']]>',
  '-->',
  '</script>',
  '<b onclick="x">',
  '&amp;&#0;',
  '<?xml?>',
  '"quoted"',
  "'",
  '`',
  '```',
  '``` `` `',
  '~~~',
  '|a|b|',
  '@mention',
  '#1',
  '[link](https://example.org)',
  'https://example.org/',
  'www.example.org',
  '![i](x)',
  '\\',
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r\n::error::x',
  '::stop-commands::x',
  '%0A',
  '%25',
  'a;b',
  'a, b',
  'x 7',
  '{0}',
  '{{1}}',
  '{',
  '}',
  '${x}',
  '$(x)',
  '%s',
  '\u001b[31m',
  '\u009b2J',
  '\r',
  '\n\n',
  '# x',
  '- x',
  '1. x',
  '> x',
  '<!--',
  '<details>',
  '</details>',
  '</pre>',
  'a\u0000b',
  ' ',
  '',
  '\ud800',
  '\udfff',
  '\ud83d\ude00',
];

/**
 * All odd characters in texts of some characters each, and the traps.
 *
 * @param {number} length of the texts
 * @returns {readonly string[]}
 */
function oddTexts(length) {
  /** @type {string[]} */
  const texts = [...traps];
  let text = '';
  for (let code = 0; code <= 0x10ffff; code += 1) {
    const character = String.fromCodePoint(code);
    if (!odd.test(character)) continue;
    text += character;
    if (text.length < length) continue;
    texts.push(text);
    text = '';
  }
  return [...texts, text];
}

/** @type {readonly Finding['rule'][]} */
const misuses = ['double-close', 'stale-close', 'use-after-close', 'wrong-closer', 'invalid-close', 'wrong-type'];
/** @type {readonly Finding['level'][]} */
const levels = ['error', 'warning', 'note'];

/**
 * A report with so many findings. The frames of each finding lie in all of its stacks together, and are shared as the
 * symbolizer shares them.
 *
 * @param {number} findings
 * @param {number} frames of each finding
 * @param {number} [distinct] frames in the whole report
 * @returns {Report}
 */
export function makeOddReport(findings, frames, distinct = 20_000) {
  const texts = oddTexts(12);
  let next = 0;
  const name = () => `n${next}${texts[next++ % texts.length]}`;
  const bare = () => texts[next++ % texts.length] ?? '';
  const pool = Array.from({ length: distinct }, (_, index) => makeFrame(index));
  let at = 0;
  /** @param {number} depth @returns {Stack} */
  const stack = (depth) => Array.from({ length: depth }, () => pool[(at = (at * 5 + 3) % distinct)] ?? makeFrame(0));

  /** @param {number} index @returns {Frame} */
  function makeFrame(index) {
    const system = index % 5 === 0;
    return {
      module: index % 97 === 0 ? '?' : bare(),
      ...(index % 7 === 0 ? {} : { function: bare() }),
      offset: index,
      ...(system ? {} : { file: index % 3 === 0 ? name() : `C:\\repo\\src\\${name()}`, line: 1 + (index % 900) }),
      ...(index % 11 === 0 ? { inlined: true } : {}),
      ...(system ? { system: true } : {}),
      ...(index % 13 === 0 ? { runtime: true } : {}),
    };
  }

  /** @param {number} index @returns {HandleObject} */
  const makeObject = (index) =>
    index % 4 === 0
      ? { type: 'Socket', socket: { protocol: 'TCP', local: name(), remote: name(), state: 'connected' } }
      : { type: index % 4 === 1 ? 'File' : name(), name: bare() };

  /** @param {number} index @returns {Finding} */
  function makeFinding(index) {
    const isLeak = index % 2 === 0;
    const half = Math.floor(frames / 2);
    const status = index % 9 === 0 ? 'suppressed' : index % 10 === 0 ? 'known' : 'new';
    const line = { line: `leak:${name()}`, source: name(), lineNumber: 1 + index, reason: bare() };
    return {
      rule: isLeak ? 'leak' : (misuses[index % misuses.length] ?? 'double-close'),
      level: levels[Math.floor((index * 3) / findings)] ?? 'note',
      status,
      message: `${index} handles opened at ${name()} (${bare()}) are still open ${bare()}; others are closed at ${bare()}.`,
      count: 1 + (index % 1000),
      object: makeObject(index),
      handles: [BigInt(index) * 4n + 4n, BigInt(index) * 4n + 8n],
      objects: [makeObject(index), makeObject(index + 1)],
      stacks: isLeak
        ? { opened: stack(frames - half), siblingsClosed: stack(half) }
        : {
            opened: stack(frames - 2 * Math.floor(half / 2)),
            closed: stack(Math.floor(half / 2)),
            offending: stack(Math.floor(half / 2)),
          },
      fingerprint: index.toString(16).padStart(16, '0'),
      growth: { iterations: 8, grewIn: 8, handlesPerIteration: 1.5 },
      processes: [{ pid: 4 + 4 * (index % 3), index: index % 3, count: 1 + (index % 1000) }],
      runs: [1, 0],
      suppression: `leak:${name()}`,
      ...(status === 'suppressed' ? { suppressedBy: line } : {}),
    };
  }

  return {
    schemaVersion: 1,
    tool: { name: 'unclosed', version: '0.1.0' },
    target: { command: [`C:\\repo\\build\\${bare()}.exe`, bare(), name()], pid: 4, exitCode: 0xc0000005 },
    findings: Array.from({ length: findings }, (_, index) => makeFinding(index)),
    completeness: {
      complete: false,
      gaps: [
        { kind: 'calls-unrecognised', names: Array.from({ length: 40 }, bare) },
        { kind: 'process-unrecorded', image: name(), why: bare(), processes: [8] },
        { kind: 'no-marks', mark: bare(), processes: [4], runs: [1, 2] },
      ],
    },
    modulesWithoutNames: [{ module: name(), why: 'pdb-not-found', debugFile: bare(), pdbId: bare() }],
    suppressions: [{ line: name(), source: bare(), lineNumber: 1, reason: bare(), findings: 1 }],
    processes: [4, 8, 12].map((pid) => ({
      pid,
      ...(pid === 4 ? {} : { parentPid: 4, parentIndex: 0 }),
      image: `C:\\${name()}\\${bare()}`,
      exitCode: 1,
      opens: 5,
      closes: 4,
      findings: 2,
    })),
    runs: [
      { pid: 4, exitCode: 0, durationMs: 12 },
      { pid: 5, durationMs: 13 },
    ],
    stats: { durationMs: 1240, opens: 9, closes: 8, openHandles: 7, hookedCalls: 6, distinctStacks: 5, iterations: 10 },
  };
}
