import type { Finding, Frame, Rule, Stack, SuppressionUse } from '../model.ts';
import { functionName, moduleName } from './stacks.ts';
import { UserError } from '../user-error.ts';

/** A text of suppressions, one a line, and where it comes from. */
export interface SuppressionText {
  /** What it is called in reports: its file. */
  readonly source: string;
  readonly text: string;
}

/** One line, understood. */
export interface Suppression {
  readonly line: string;
  readonly source: string;
  /** 1-based. */
  readonly lineNumber: number;
  readonly reason?: string;
  /** `*` for any. */
  readonly rule: Rule | '*';
  /** All of them must match. */
  readonly terms: readonly Term[];
}

interface Term {
  /** What it is compared with; a frame when it is not said. */
  readonly subject: 'frame' | 'type' | 'name' | 'fingerprint';
  readonly matches: (text: string) => boolean;
}

/** A line that is no suppression. */
class SuppressionError extends UserError {
  constructor(source: string, lineNumber: number, why: string, advice: string) {
    super(`Cannot use suppressions "${source}": line ${lineNumber}: ${why}. Try ${advice}.`);
  }
}

const rules: ReadonlySet<string> = new Set<Rule>([
  ...(['leak', 'double-close', 'stale-close', 'use-after-close', 'stale-use', 'invalid-close', 'invalid-use'] as const),
  ...(['wrong-closer', 'wrong-type', 'protected-close', 'inherited'] as const),
]);

/**
 * Understands a text of suppressions (docs/suppressions.md), in the manner of the sanitizers': `rule:pattern`, with `#`
 * before a comment.
 *
 * @throws SuppressionError for the first line that is none
 */
export function parseSuppressions({ source, text }: SuppressionText): readonly Suppression[] {
  return text.split(/\r?\n/).flatMap((whole, index) => {
    const line = whole.replace(/^\uFEFF/, '').trim();
    return line === '' || line.startsWith('#') ? [] : [parseLine(line, source, index + 1)];
  });
}

/** @throws SuppressionError when it is none */
export function parseLine(line: string, source: string, lineNumber: number, reason?: string): Suppression {
  const [, rule = '', rest = ''] = /^([^:]*):(.*)$/.exec(line) ?? [];
  if (rule !== '*' && !rules.has(rule)) {
    const why = line.includes(':') ? `there is no rule "${rule}"` : `"${line}" has no rule before a colon`;
    throw new SuppressionError(source, lineNumber, why, 'leak:module!function');
  }
  const terms = rest.split(';').map((each) => each.trim());
  // An empty one would match everything.
  if (terms.some((term) => /^(?:(?:type|name|fingerprint):)?[*^$]*$/.test(term))) {
    throw new SuppressionError(source, lineNumber, 'a pattern matches everything', `${rule}:module!function`);
  }
  return {
    line,
    source,
    lineNumber,
    ...(reason === undefined ? {} : { reason }),
    rule: rule as Rule | '*',
    terms: terms.map(parseTerm),
  };
}

function parseTerm(term: string): Term {
  const [, subject = 'frame', pattern = ''] = /^(?:(type|name|fingerprint):)?(.*)$/.exec(term) ?? [];
  return { subject: subject as Term['subject'], matches: compile(pattern) };
}

/**
 * As in the sanitizers: `*` is any text, `^` and `$` are the ends, and without them a pattern matches anywhere. Case
 * does not matter, as in Windows' names, and slashes are backslashes.
 *
 * No regular expression: those of several asterisks take cubic time, and names come from the target.
 */
function compile(pattern: string): (text: string) => boolean {
  const begins = pattern.startsWith('^');
  const ends = pattern.endsWith('$');
  const body = `${begins ? '' : '*'}${pattern.slice(begins ? 1 : 0, ends ? -1 : undefined)}${ends ? '' : '*'}`;
  const [head = '', ...others] = fold(body).split(/\*+/);
  const tail = others.pop();
  return (text) => {
    const folded = fold(text);
    if (tail === undefined) return folded === head;
    if (!folded.startsWith(head)) return false;
    let from = head.length;
    for (const part of others) {
      const found = folded.indexOf(part, from);
      if (found < 0) return false;
      from = found + part.length;
    }
    return folded.length - tail.length >= from && folded.endsWith(tail);
  };
}

function fold(text: string): string {
  return text.toLowerCase().replaceAll('/', '\\');
}

/**
 * What is left of the findings, and what each suppression kept out of them. A finding belongs to the first that matches
 * it.
 */
export function suppress(
  findings: readonly Finding[],
  suppressions: readonly Suppression[],
): { readonly findings: readonly Finding[]; readonly uses: readonly SuppressionUse[] } {
  const used = new Map<Suppression, number>();
  const left = findings.filter((finding) => {
    const suppression = suppressions.find((each) => matches(each, finding));
    if (suppression !== undefined) used.set(suppression, (used.get(suppression) ?? 0) + 1);
    return suppression === undefined;
  });
  const uses = suppressions.map((suppression): SuppressionUse => {
    const { line, source, lineNumber, reason } = suppression;
    return {
      line,
      source,
      lineNumber,
      ...(reason === undefined ? {} : { reason }),
      findings: used.get(suppression) ?? 0,
    };
  });
  return { findings: left, uses };
}

function matches({ rule, terms }: Suppression, finding: Finding): boolean {
  if (rule !== '*' && rule !== finding.rule) return false;
  return terms.every(({ subject, matches: fits }) => {
    switch (subject) {
      case 'type':
        return fits(finding.object.type);
      case 'fingerprint':
        return fits(finding.fingerprint);
      case 'name':
        // Each that is known: one that is named otherwise must not hide behind those that are not.
        return (finding.objects ?? [finding.object]).every(({ name }) => name !== undefined && fits(name));
      case 'frame': {
        const { opened = [], closed = [], offending = [] } = finding.stacks;
        return [...offending, ...closed, ...opened].some((frame) => spellingsOf(frame).some(fits));
      }
    }
  });
}

/** What a pattern may mean by a frame. */
function spellingsOf(frame: Frame): readonly string[] {
  const module = moduleName(frame);
  const name = functionName(frame);
  const { file = [] } = frame;
  return [name === undefined ? [] : [`${module}!${name}`, name], module, file].flat();
}

/**
 * A line that suppresses a finding and others of its site: the rule, the object's type, and the innermost function of
 * the program with its caller. A site without names has its fingerprint.
 */
export function suggestSuppression({ rule, object, stacks, fingerprint }: Finding): string {
  const stack: Stack = stacks.offending ?? stacks.opened ?? [];
  const named = stack.flatMap((frame) => {
    const name = functionName(frame);
    // What has a meaning in a pattern stands for itself when any text may stand in its place.
    return frame.system === true || frame.runtime === true || name === undefined
      ? []
      : [`${moduleName(frame)}!${name}`.replaceAll(/[^ -~]|;/gu, '*')];
  });
  if (named.length === 0) return `${rule}:fingerprint:${fingerprint}`;
  const type = object.type === 'Unknown' ? [] : [`type:^${object.type}$`];
  return `${rule}:${[...type, ...new Set(named.slice(0, 2).map((each) => `^${each}$`))].join(';')}`;
}
