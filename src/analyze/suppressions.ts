import type { Finding, Frame, Stack, SuppressionLine, SuppressionUse } from '../model.ts';
import { isRuleName, type Rule } from '../rules.ts';
import { functionName, moduleName } from './stacks.ts';
import { isDay } from '../text/day.ts';
import { compilePattern } from '../text/pattern.ts';
import { UserError } from '../user-error.ts';

/** A text of suppressions, one on a line, and where it comes from. */
export interface SuppressionText {
  /** Its name in reports: the file. */
  readonly source: string;
  readonly text: string;
}

/** One parsed line. */
export interface Suppression extends SuppressionLine {
  /** `*` for any. */
  readonly rule: Rule | '*';
  /** All of them must match. */
  readonly terms: readonly Term[];
}

interface Term {
  /** The field that the pattern is compared with; a frame by default. */
  readonly subject: 'frame' | 'type' | 'name' | 'fingerprint';
  readonly matches: (text: string) => boolean;
}

/** A line cannot be used as a suppression. */
class SuppressionError extends UserError {
  constructor(source: string, lineNumber: number, why: string, advice: string) {
    super(`Cannot use suppressions "${source}": line ${lineNumber}: ${why}. Try ${advice}.`);
  }
}

/**
 * Parses a text of suppressions (docs/suppressions.md) in the format of the sanitizers: `rule:pattern`, with `#` before
 * a comment. A comment at the end of a line is the reason for it.
 *
 * @throws SuppressionError for the first line that cannot be used
 */
export function parseSuppressions({ source, text }: SuppressionText): readonly Suppression[] {
  return text.split(/\r?\n/).flatMap((whole, index) => {
    const line = whole.replace(/^\uFEFF/, '').trim();
    return line === '' || line.startsWith('#') ? [] : [parseLine(line, source, index + 1)];
  });
}

/**
 * Parses one line.
 *
 * @throws SuppressionError when it cannot be used
 */
export function parseLine(whole: string, source: string, lineNumber: number): Suppression {
  const [line = '', reason = ''] = splitReason(whole);
  const [, rule = '', rest = ''] = /^([^:]*):(.*)$/.exec(line) ?? [];
  if (rule !== '*' && !isRuleName(rule)) {
    const why = line.includes(':') ? `there is no rule "${rule}"` : `"${line}" has no rule before a colon`;
    throw new SuppressionError(source, lineNumber, why, 'leak:module!function');
  }
  const members = rest.split(';').map((each) => each.trim());
  const terms = members.filter((each) => !each.startsWith(expiry));
  const [expires, second] = members
    .filter((each) => each.startsWith(expiry))
    .map((each) => each.slice(expiry.length).trim());
  if (expires !== undefined && (second !== undefined || !isDay(expires))) {
    const why = second === undefined ? `"${expires}" is no day` : 'it expires twice';
    throw new SuppressionError(source, lineNumber, why, `${expiry}2027-01-31`);
  }
  // An empty term would match everything.
  if (terms.length === 0 || terms.some((term) => /^(?:(?:type|name|fingerprint):)?[*^$]*$/.test(term))) {
    throw new SuppressionError(source, lineNumber, 'a pattern matches everything', `${rule}:module!function`);
  }
  return {
    line,
    source,
    lineNumber,
    ...(reason === '' ? {} : { reason }),
    ...(expires === undefined ? {} : { expires }),
    rule,
    terms: terms.map(parseTerm),
  };
}

/** Begins the part of a line that says until when it is in force. */
const expiry = 'expires:';

/** A line and the reason behind it. A `#` in the midst of a word belongs to the line. */
function splitReason(whole: string): readonly [line: string, reason: string] {
  const at = whole.search(/\s#(?:\s|$)/);
  return at < 0 ? [whole, ''] : [whole.slice(0, at).trimEnd(), whole.slice(at + 2).trim()];
}

function parseTerm(term: string): Term {
  const [, subject = 'frame', pattern = ''] = /^(?:(type|name|fingerprint):)?(.*)$/.exec(term) ?? [];
  return { subject: subject as Term['subject'], matches: compilePattern(pattern) };
}

/**
 * Gives each finding that a line matches the status `suppressed`, and counts what each line suppressed. Several lines
 * may match a finding: the first one that has not expired suppresses it. A finding that only expired lines match says
 * so.
 *
 * @param today as {@link SuppressionLine.expires}
 */
export function suppress(
  findings: readonly Finding[],
  suppressions: readonly Suppression[],
  today: string = '',
): { readonly findings: readonly Finding[]; readonly uses: readonly SuppressionUse[] } {
  const isExpired = ({ expires = today }: SuppressionLine): boolean => expires < today;
  const inForce = suppressions.filter((each) => !isExpired(each));
  const over = suppressions.filter(isExpired);
  const used = new Map<Suppression, number>();
  const marked = findings.map((finding): Finding => {
    const suppression = inForce.find((each) => matches(each, finding));
    if (suppression === undefined) {
      const expired = over.find((each) => matches(each, finding));
      return expired === undefined ? finding : withExpiry(finding, expired);
    }
    used.set(suppression, (used.get(suppression) ?? 0) + 1);
    return { ...finding, status: 'suppressed', suppressedBy: toLine(suppression) };
  });
  const uses = suppressions.map((suppression) => ({
    ...toLine(suppression),
    findings: used.get(suppression) ?? 0,
    ...(isExpired(suppression) ? { expired: true as const } : {}),
  }));
  return { findings: marked, uses };
}

function withExpiry(finding: Finding, { source, lineNumber, expires }: SuppressionLine): Finding {
  return { ...finding, message: `${finding.message} The suppression ${source}:${lineNumber} expired on ${expires}.` };
}

/** Where a suppression stands, without its compiled terms. */
function toLine({ line, source, lineNumber, reason, expires }: Suppression): SuppressionLine {
  return {
    line,
    source,
    lineNumber,
    ...(reason === undefined ? {} : { reason }),
    ...(expires === undefined ? {} : { expires }),
  };
}

/** Whether a line is about a finding. */
export function matches(
  { rule, terms }: Suppression,
  finding: Pick<Finding, 'rule' | 'object' | 'objects' | 'stacks' | 'fingerprint'>,
): boolean {
  if (rule !== '*' && rule !== finding.rule) return false;
  return terms.every(({ subject, matches: fits }) => {
    switch (subject) {
      case 'type':
        return fits(finding.object.type);
      case 'fingerprint':
        return fits(finding.fingerprint);
      case 'name':
        // Every listed handle must match: one with another name must not be hidden by the rest.
        return (finding.objects ?? [finding.object]).every(({ name }) => name !== undefined && fits(name));
      case 'frame': {
        const { opened = [], closed = [], offending = [] } = finding.stacks;
        return [...offending, ...closed, ...opened].some((frame) => spellingsOf(frame).some(fits));
      }
    }
  });
}

/** The texts of a frame that a pattern is compared with. */
function spellingsOf(frame: Frame): readonly string[] {
  const module = moduleName(frame);
  const name = functionName(frame);
  const { file = [] } = frame;
  return [name === undefined ? [] : [`${module}!${name}`, name], module, file].flat();
}

/**
 * A line that suppresses a finding and others of its site: the rule, the object's type, and the innermost function of
 * the program with its caller. A site without names gets its fingerprint.
 */
export function suggestSuppression({ rule, object, stacks, fingerprint }: Finding): string {
  const stack: Stack = stacks.offending ?? stacks.opened ?? [];
  const named = stack.flatMap((frame) => {
    const name = functionName(frame);
    // `*` matches the characters that would mean something else in a pattern.
    return frame.system === true || frame.runtime === true || name === undefined
      ? []
      : [`${moduleName(frame)}!${name}`.replaceAll(/[^ -~]|;|\s#/gu, '*')];
  });
  if (named.length === 0) return `${rule}:fingerprint:${fingerprint}`;
  const type = object.type === 'Unknown' ? [] : [`type:^${object.type}$`];
  return `${rule}:${[...type, ...new Set(named.slice(0, 2).map((each) => `^${each}$`))].join(';')}`;
}
