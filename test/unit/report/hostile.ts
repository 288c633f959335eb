import type { Report } from '../../../src/model.ts';

/** Text as a hostile target would put it into its names. */
const weapons: readonly string[] = [
  '\x1b[31mred\x1b[0m',
  '\x1b]0;title\x07',
  '\x9b2J',
  'line\nbreak\r\n',
  'tab\there',
  'nul\0byte',
  '\u202eevil\u2066',
  'zero\u200bwidth\ufeff',
  '\ud800alone',
  'end\udfff',
  '\u2028\u2029',
  'nbsp\u00a0\u3000wide',
  '漢字かな한국어ＡＢＣ',
  '😀👩‍👩‍👧🏽🇩🇪1️⃣❤️',
  'e\u0301\u0301\u0301 \u05b0 \u0e33 नमस्ते',
  `C:\\very\\long\\${'x'.repeat(300)}`,
  'word '.repeat(60),
  '"quoted" <b>&amp;</b> \\u001b',
  '%s%n${0}`$(x)`',
  '',
  ' ',
  '\u{e0001}\u{10ffff}\ue000\u0378',
];

/** A stream of numbers below a limit: the same for the same seed. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** One to three weapons, and sometimes any sequence of UTF-16 code units. */
export function hostileText(random: (limit: number) => number): string {
  const parts = Array.from({ length: 1 + random(3) }, () => weapons[random(weapons.length)]!);
  if (random(3) === 0) parts.push(String.fromCharCode(...Array.from({ length: 6 }, () => random(0x10000))));
  return parts.join('');
}

/** The report with a hostile text in place of every text that a target can influence. */
export function makeHostile(report: Report, random: (limit: number) => number): Report {
  const replace = (value: unknown, key: string): unknown => {
    if (typeof value === 'string')
      return ['level', 'status', 'rule', 'kind', 'event', 'why', 'fingerprint', 'schemaVersion', 'version'].includes(
        key,
      )
        ? value
        : hostileText(random);
    if (Array.isArray(value)) return value.map((each) => replace(each, key));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replace(each, name)]));
  };
  return replace(report, '') as Report;
}
