import { compareText } from '../analyze/grouping.ts';
import { isRuleName, ruleNames } from '../rules.ts';
import { escapeText } from '../text/escape.ts';
import { nearestName } from '../text/nearest.ts';
import { UserError } from '../user-error.ts';
import type { KnownFinding } from './entries.ts';

/** The version of the format, which stands in the first line. */
const version = 1;
const header = `# unclosed baseline ${version}: findings that are known. docs/baseline.md explains the lines; "unclosed run --baseline <file> --update-baseline" writes them.`;

/** A file, a line and a file's entries may be so large. */
export const baselineSizeMax: number = 32 << 20;
const lineLengthMax = 4096;
const entriesMax = 100_000;

/** A baseline cannot be used. */
class BaselineError extends UserError {
  constructor(source: string, lineNumber: number, why: string, advice: string) {
    super(`Cannot use baseline "${source}": line ${lineNumber}: ${why}. Try ${advice}.`);
  }
}

/** Why a line cannot be used, and what to try. */
type Fault = readonly [why: string, advice: string];

/**
 * The text of a baseline: a header, and an entry on each line, by rule and fingerprint. It is the order of `sort`, and
 * two branches seldom touch the same place.
 */
export function printBaseline(entries: readonly KnownFinding[]): string {
  return `${[header, ...[...entries].sort(compareEntries).map(printEntry)].join('\n')}\n`;
}

/** The order of a baseline. */
export function compareEntries(a: KnownFinding, b: KnownFinding): number {
  return compareText(a.rule, b.rule) || compareText(a.fingerprint, b.fingerprint);
}

/** One line: `leak 77b97fc1011732e6 2 File: CreateFile < app.exe!open_log < app.exe!main # issue 812`. */
export function printEntry({ rule, fingerprint, count, perIteration, site, remark }: KnownFinding): string {
  const amount = `${count}${perIteration === true ? '/iteration' : ''}`;
  return `${rule} ${fingerprint} ${amount} ${site}${remark === undefined ? '' : ` # ${remark}`}`;
}

/**
 * Parses the text of a baseline. Line ends of Windows and a byte order mark do no harm.
 *
 * @param source its name in errors
 * @returns the entries in the order of the text
 * @throws BaselineError for the first line that cannot be used
 */
export function parseBaseline(text: string, source: string): readonly KnownFinding[] {
  const entries = new Map<string, { readonly entry: KnownFinding; readonly lineNumber: number }>();
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [index, whole] of lines.entries()) {
    const lineNumber = index + 1;
    const refuse = ([why, advice]: Fault): never => {
      throw new BaselineError(source, lineNumber, why, advice);
    };
    const damage = findDamage(whole) ?? (index === 0 ? findWrongHeader(whole) : undefined);
    if (damage !== undefined) refuse(damage);
    const line = whole.trim();
    if (index === 0 || line === '') continue;
    const entry = parseEntry(line);
    if ('fault' in entry) refuse(entry.fault);
    else {
      const twin = entries.get(entry.fingerprint);
      if (twin !== undefined)
        refuse([`it has the fingerprint of line ${twin.lineNumber}`, 'to keep one of the two, with the larger count']);
      if (entries.size === entriesMax) refuse([`there are more than ${entriesMax} entries`, 'suppressions']);
      entries.set(entry.fingerprint, { entry, lineNumber });
    }
  }
  return [...entries.values()].map(({ entry }) => entry);
}

/** Why a line is none of a text that this tool or a person wrote. */
function findDamage(line: string): Fault | undefined {
  if (/^(?:<{7}|\|{7}|={7}|>{7})(?:\s|$)/.test(line))
    return ['a conflict of a merge stands here', 'to keep the lines of both sides, without the marks'];
  if (line.length > lineLengthMax) return [`it is longer than ${lineLengthMax} characters`, 'to restore the file'];
  const odd = /(?!\t)[\p{Cc}\uFFFD]/u.exec(line)?.[0];
  if (odd === undefined) return undefined;
  const code = odd.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return [
    `it has the character U+${code}, so the file is damaged or not in UTF-8`,
    'to restore it, or to save it as UTF-8',
  ];
}

function findWrongHeader(line: string): Fault | undefined {
  const [, found] = /^# unclosed baseline (\d{1,9})(?=[:\s]|$)/.exec(line) ?? [];
  if (found === undefined)
    return [`a baseline begins with "# unclosed baseline ${version}"`, '--update-baseline with the name of a new file'];
  if (Number(found) === version) return undefined;
  return [`its version is ${found}, and this unclosed knows ${version}`, 'another version of unclosed'];
}

const advice = 'leak 0123456789abcdef 1 File: CreateFile < app.exe!open_log';

/** An entry, or why it is none. */
function parseEntry(line: string): KnownFinding | { readonly fault: Fault } {
  const fault = (why: string, instead: string = advice): { readonly fault: Fault } => ({ fault: [why, instead] });
  if (line.startsWith('#'))
    return fault(
      'a comment has no line of its own, because the next update would lose it',
      'it at the end of an entry',
    );
  const [, rule = '', fingerprint = '', amount = '', rest = ''] =
    /^(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S.*)$/.exec(line) ?? [];
  if (rest === '') return fault('an entry has a rule, a fingerprint, a count and a site');
  if (!isRuleName(rule)) {
    const nearest = nearestName(rule, ruleNames);
    return fault(`there is no rule "${escapeText(rule)}"`, nearest ?? 'a newer version of unclosed');
  }
  if (!/^[0-9a-f]{16}$/.test(fingerprint))
    return fault(`"${escapeText(fingerprint)}" is no fingerprint, which has 16 hexadecimal digits`);
  const [, digits, unit] = /^([1-9]\d{0,14})(\/iteration)?$/.exec(amount) ?? [];
  if (digits === undefined) return fault(`"${escapeText(amount)}" is no count`, '1, or 1/iteration');
  const at = rest.search(/(?:^|[ \t])#(?:[ \t]|$)/);
  const site = (at < 0 ? rest : rest.slice(0, at)).trim();
  const remark = at < 0 ? '' : rest.slice(rest.indexOf('#', at) + 1).trim();
  if (site === '') return fault('the site is missing before the remark');
  return {
    rule,
    fingerprint,
    count: Number(digits),
    ...(unit === undefined ? {} : { perIteration: true as const }),
    site,
    ...(remark === '' ? {} : { remark }),
  };
}
