import { analyze } from '../../../src/analyze/index.ts';
import type { KnownFinding } from '../../../src/baseline/entries.ts';
import type { Finding, Level } from '../../../src/model.ts';
import { ruleNames } from '../../../src/rules.ts';
import { called, mainBottom, openSite } from '../analyze/evidence.ts';
import { hostileText, randomNumbers } from '../report/hostile.ts';

export type Random = ReturnType<typeof randomNumbers>;

/** A stream of numbers for each of so many tries. */
export function tries(count: number): readonly Random[] {
  return Array.from({ length: count }, (_, index) => {
    const random = randomNumbers(index * 7919 + 1);
    for (let warmUp = 0; warmUp < 5; warmUp++) random(2);
    return random;
  });
}

/** A leak at a site of its own. */
export function leakOf(functionName: string, count: number = 1, parts: Partial<Finding> = {}): Finding {
  const opened = called('NtCreateEvent', 'kernelbase!CreateEventW', `app!${functionName} @app.c:4`, ...mainBottom);
  return { ...analyze({ open: [openSite({ opened, count })], misuses: [] })[0]!, ...parts };
}

const template: Finding = leakOf('template');

/** Sixteen digits, so few of which differ that several lists have many in common. */
function fingerprintOf(random: Random): string {
  return (0xabcdef0123456000n + BigInt(random(40))).toString(16);
}

/** Findings as any report may have them: every level and status, runs, growth, hostile names. */
export function randomFindings(random: Random): readonly Finding[] {
  const byFingerprint = new Map<string, Finding>();
  for (let left = random(25); left > 0; left--) {
    const fingerprint = fingerprintOf(random);
    const iterations = 1 + random(4);
    const count = 1 + random(9);
    byFingerprint.set(fingerprint, {
      ...template,
      fingerprint,
      rule: ruleOf(fingerprint),
      level: (['error', 'warning', 'note'] satisfies readonly Level[])[random(3)]!,
      status: random(5) === 0 ? 'suppressed' : 'new',
      count,
      object: { type: random(3) === 0 ? hostileText(random) : 'Event' },
      ...(random(3) === 0
        ? { growth: { iterations, grewIn: random(iterations + 1), handlesPerIteration: random(70) / 10 } }
        : {}),
      ...(random(4) === 0 ? { runs: [random(12), count, random(12)] } : {}),
    });
  }
  return [...byFingerprint.values()];
}

/** Entries that a file may have, in any order. */
export function randomEntries(random: Random): readonly KnownFinding[] {
  const byFingerprint = new Map<string, KnownFinding>();
  for (let left = random(25); left > 0; left--) {
    const fingerprint = fingerprintOf(random);
    byFingerprint.set(fingerprint, {
      rule: ruleOf(fingerprint),
      fingerprint,
      count: 1 + random(random(3) === 0 ? 1_000_000 : 9),
      ...(random(4) === 0 ? { perIteration: true as const } : {}),
      site: siteTexts[random(siteTexts.length)]!,
      ...(random(3) === 0 ? { remark: remarkTexts[random(remarkTexts.length)]! } : {}),
    });
  }
  return [...byFingerprint.values()];
}

function ruleOf(fingerprint: string): KnownFinding['rule'] {
  return ruleNames[Number.parseInt(fingerprint.slice(-2), 16) % ruleNames.length]!;
}

const siteTexts = [
  'Event: CreateEvent < app.exe!main',
  'File: unknown',
  'x',
  'Socket: socket < app.exe!std::vector<int, a<b>>::at#1 < app.exe+0x13ae',
  '"quoted": \\u{202e} \\#x',
];
const remarkTexts = ['issue 812', '# twice', 'größer 日本', 'a # b'];
