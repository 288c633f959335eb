import { spellNoun } from '../analyze/object-noun.ts';
import type { Finding, HandleObject, Stack, Wrapper } from '../model.ts';
import { rules } from '../rules.ts';
import { drawHistory } from './stacks/history-view.ts';
import { hexadecimal } from './numbers.ts';
import { splitRequested } from './stacks/requested-stack.ts';
import { drawStack, drawStackLine, type StackView } from './stacks/stack-view.ts';
import { spellLine } from './sections/suppressions.ts';
import { cutLines, cutMiddle, padText, textWidth, wrapText } from './text-width.ts';

/** How many lines a sentence may take in a brief view: a name in it may be of any length. */
const briefLines = 4;

/**
 * A finding with its header, sentence, handles and stacks. A note is its header and its sentence.
 *
 * @param others how many findings read the same
 */
export function drawFinding(finding: Finding, others: number, view: StackView): readonly string[] {
  const sentences = [finding.message, ...spellDump(finding), ...spellOthers(others)];
  const lines = [drawHeader(finding, view), ...drawSentences(sentences, view)];
  return finding.level === 'note' ? lines : [...lines, ...drawDetails(finding, view)];
}

/** The handles and stacks of a finding, each part after an empty line. */
export function drawDetails(finding: Finding, view: StackView): readonly string[] {
  const { theme, width } = view;
  const lines: string[] = [];
  const handles = drawHandles(finding, view);
  if (handles.length > 0) lines.push('', ...handles.map((line) => `  ${line}`));
  const stacks = stacksOf(finding);
  // The mistake itself comes first. It has the colour of its level, and in a brief view it alone has rows.
  const inRows = view.brevity === undefined ? stacks : stacks.slice(0, 1);
  for (const [index, [label, stack]] of inRows.entries()) {
    const frames = drawStack(stack, { ...view, width: width - 4 });
    const paint =
      index === 0 ? theme.level[finding.level] : stack === finding.stacks.siblingsClosed ? theme.good : theme.strong;
    lines.push('', `  ${paint(label)}`, ...frames.map((line) => `    ${line}`));
  }
  const inLines = stacks.slice(inRows.length);
  const labelWidth = Math.max(...inLines.map(([label]) => label.length));
  for (const [label, stack] of inLines) {
    const text = drawStackLine(stack, { ...view, width: width - labelWidth - 4 });
    lines.push(`  ${theme.strong(label.padEnd(labelWidth))}  ${text}`);
  }
  lines.push(...drawHistory(finding, view));
  return lines;
}

function spellDump({ dump }: Finding): readonly string[] {
  return dump === undefined ? [] : [`A minidump of the first time is ${dump}.`];
}

function spellOthers(others: number): readonly string[] {
  if (others === 0) return [];
  const subject = others === 1 ? '1 more finding that differs' : `${others} more findings that differ`;
  return [`The same holds for ${subject} only in frames left out here (--all-frames).`];
}

/** A known or suppressed finding: its header, its sentence, and why it is not new. */
export function drawAccepted(finding: Finding, view: StackView): readonly string[] {
  return [drawHeader(finding, view), ...drawSentences([finding.message, spellStatus(finding)], view)];
}

/** `An error, suppressed by known.supp:3  leak:open_log`. The text is not escaped. */
export function spellStatus({ level, status, suppressedBy }: Finding): string {
  const article = level === 'error' ? 'An' : 'A';
  const by = suppressedBy === undefined ? '' : ` by ${spellLine(suppressedBy, true)}`;
  return `${article} ${level}, ${status}${by}`;
}

function drawSentences(sentences: readonly string[], { theme, width, brevity }: StackView): readonly string[] {
  return sentences.flatMap((each) => {
    const lines = wrapText(theme.escape(each), width - 2);
    return (brevity === undefined ? lines : cutLines(lines, briefLines, width - 2, theme.signs.ellipsis)).map(
      (line) => `  ${line}`,
    );
  });
}

function drawHeader(finding: Finding, { theme, options, width }: StackView): string {
  const { level, status, rule, fingerprint } = finding;
  const badge = (status === 'new' ? level : status).toUpperCase();
  const paintBadge = status === 'new' ? theme.badge[level] : theme.acceptedBadge;
  const badgeWidth = badge.length + (options.colorLevel === 0 ? 0 : 2);
  const counted = theme.escape(spellCount(finding));
  const what = `${rule}  `;
  const room = width - badgeWidth - 1 - textWidth(what);
  const subject = cutMiddle(counted, room, theme.signs.ellipsis);
  const left = room - textWidth(subject);
  const mark =
    left >= fingerprint.length + 2 ? ' '.repeat(left - fingerprint.length) + theme.dim(theme.escape(fingerprint)) : '';
  return `${paintBadge(badge)} ${theme.strong(rule)}  ${subject}${mark}`;
}

/** `3 File handles`; `Event handle, 7 times`. The text is not escaped. */
export function spellCount({ rule, object, count }: Finding): string {
  const type = (rule === 'leak' ? object.wrapper?.type : undefined) ?? object.type;
  const noun = spellNoun({ type });
  if (rule === 'leak') return `${count} ${noun}${count === 1 ? '' : 's'}`;
  const times = count === 1 ? 'once' : `${count} times`;
  return object.type === 'Unknown' ? times : `${noun}, ${times}`;
}

/** The stacks with their headings, in the order in which a person wants them: the mistake first. */
export function stacksOf({ rule, level, stacks }: Finding): readonly (readonly [string, Stack])[] {
  const labels = rules[rule].stackLabels;
  const opened = stacks.opened && splitRequested(stacks.opened);
  const all: readonly (readonly [string, Stack | undefined])[] = [
    [labels.offending, stacks.offending],
    [labels.closed, stacks.closed],
    ['requested at', opened?.requested],
    ['opened at', opened?.own],
    [`${level === 'warning' ? 'reached' : 'would have reached'} what was opened at`, stacks.victim],
    ['others are closed at', stacks.siblingsClosed],
  ];
  return all.flatMap(([label, stack]) => (stack === undefined ? [] : [[label, stack] as const]));
}

/** The handles of a finding, as a list for a person. No text in it is escaped. */
interface HandleList {
  /** Each with the name of its object, which is empty where it has none or where {@link common} has it. */
  readonly handles: readonly { readonly value: string; readonly name: string }[];
  /** `and 7 more`; empty where the list is whole. */
  readonly rest: string;
  /** The name of the object of all of them, where they have one. */
  readonly common: string;
}

/**
 * Which handles a finding is about: with the name of each where names are known, otherwise their values alone.
 * `undefined` where its sentence says all of it.
 *
 * @param most how many are listed, at most
 */
export function listHandles(finding: Finding, arrow: string, most?: number): HandleList | undefined {
  const { rule, object, objects, handles: all, count, stacks } = finding;
  const limit = most ?? all.length;
  // The last line of a list that is cut says how many there are more, so it must stand for several.
  const handles = all.length > limit + 1 ? all.slice(0, limit) : all;
  if (handles.length === 0) return undefined;
  const values = handles.map((value) => (object.type === 'Descriptor' ? `${value}` : hexadecimal(value)));
  // A misuse counts calls, not handles: there may have been more values than those listed.
  const total = rules[rule].counts === 'handles' && stacks.offending === undefined ? count : all.length;
  const rest = total > handles.length ? `and ${total - handles.length} more` : '';
  const common = describeObject(object, arrow);
  if (objects !== undefined || (handles.length === 1 && common !== '')) {
    const nameOf = (index: number): string => describeObject(objects?.[index] ?? object, arrow);
    return { handles: values.map((value, index) => ({ value, name: nameOf(index) })), rest, common: '' };
  }
  // The sentence of a misuse names up to three values itself.
  if (rule !== 'leak' && all.length <= 3 && common === '') return undefined;
  return { handles: values.map((value) => ({ value, name: '' })), rest, common };
}

function drawHandles(finding: Finding, { theme, width, brevity }: StackView): readonly string[] {
  const list = listHandles(finding, theme.signs.arrow, brevity?.handles);
  if (list === undefined) return [];
  const { handles, rest, common } = list;
  const label = handles.length === 1 ? 'handle' : 'handles';
  const indent = ' '.repeat(label.length + 2);
  const room = width - 2 - indent.length;
  const drawName = (name: string, taken: number): string =>
    theme.place(cutMiddle(theme.escape(name), room - taken, theme.signs.ellipsis));
  let lines: readonly string[];
  if (handles.some(({ name }) => name !== '')) {
    const valueWidth = Math.max(...handles.map(({ value }) => value.length));
    lines = handles.map(({ value, name }) =>
      name === '' ? value : `${padText(value, valueWidth)}  ${drawName(name, valueWidth + 2)}`,
    );
    if (rest !== '') lines = [...lines, theme.dim(rest)];
  } else {
    lines = wrapText([...handles.map(({ value }) => value), rest].join(' ').trimEnd(), room);
    if (common !== '') lines = [...lines, drawName(common, 0)];
  }
  return lines.map((line, index) => (index === 0 ? `${theme.dim(label)}  ${line}` : indent + line));
}

/**
 * `C:\logs\app.log`; `C:\logs\app.log (FILE 0x228306250, descriptor 3)`; `TCP 127.0.0.1:5000 → 127.0.0.1:80, connected`
 */
export function describeObject({ name, socket, wrapper }: HandleObject, arrow: string): string {
  const wrapped = wrapper?.value === undefined ? undefined : `(${describeWrapper(wrapper, wrapper.value)})`;
  if (socket === undefined) return join([name, wrapped], ' ');
  const { protocol, local, remote, state } = socket;
  const ends = remote === undefined ? local : `${local ?? '?'} ${arrow} ${remote}`;
  return join([join([join([protocol, ends], ' '), state], ', '), wrapped], ' ');
}

function describeWrapper({ type, descriptor }: Wrapper, value: bigint): string {
  if (type === 'Descriptor') return `descriptor ${value}`;
  return join([`FILE ${hexadecimal(value)}`, descriptor === undefined ? undefined : `descriptor ${descriptor}`], ', ');
}

function join(parts: readonly (string | undefined)[], separator: string): string {
  return parts.filter((part) => part !== undefined && part !== '').join(separator);
}
