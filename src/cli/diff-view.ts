import { escapeText } from '../text/escape.ts';
import { cutMiddle, padText, textWidth, wrapText } from '../report/text-width.ts';
import { createTheme, type Theme } from '../report/theme.ts';
import type {
  DiffHandle,
  DiffSide,
  HandleKind,
  HandlePair,
  KindChange,
  RecycledValues,
  SnapshotDiff,
} from '../snapshot/diff.ts';
import { toolName } from '../version.ts';
import { spellNumber } from '../report/numbers.ts';
import { spellChange } from './numbers.ts';
import type { OutputDescription } from './screen/terminal.ts';

const NARROWEST = 60;
const WIDEST = 140;
/** Kinds and recycled values that are shown unless all are asked for. */
const SHOWN_COUNT = 20;
/** Values that stand beside a kind. */
const EXAMPLES_SHOWN = 3;
const CHANGED_SHOWN = 5;

interface View {
  readonly theme: Theme;
  readonly width: number;
  readonly showAll: boolean;
}

/** The differences for a person: the sums, the kinds with examples, recycled values, what was not seen. */
export function drawDiff(
  diff: SnapshotDiff,
  output: Pick<OutputDescription, 'colorLevel' | 'columns'>,
  showAll: boolean,
): string {
  const theme = createTheme({ colorLevel: output.colorLevel, columns: output.columns });
  const view = { theme, width: Math.min(Math.max(output.columns, NARROWEST), WIDEST), showAll };
  const sections = [
    drawHead(diff, view),
    drawTypes(diff, view),
    drawKinds(diff, view),
    drawRecycled(diff, view),
    drawChanged(diff, view),
    drawProcesses(diff, view),
    drawUnseen(diff, view),
    drawVerdict(diff, view),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function drawHead({ before, after }: SnapshotDiff, { theme, width }: View): readonly string[] {
  const side = ({ file, host, taken, handleCount, processCount }: DiffSide): string =>
    `${escapeText(file)}: ${escapeText(host)}, ${escapeText(taken)}, ${spellNumber(handleCount)} handles of ${spellNumber(processCount)} ${processCount === 1 ? 'process' : 'processes'}`;
  return [cutMiddle(`before  ${side(before)}`, width, '…'), cutMiddle(`after   ${side(after)}`, width, '…')].map(
    (line) => theme.dim(line),
  );
}

function drawTypes({ types }: SnapshotDiff, view: View): readonly string[] {
  if (types.length === 0) return [];
  const rows = types.map(({ type, before, after, growth }) => [
    escapeText(type),
    spellNumber(before),
    spellNumber(after),
    spellChange(growth),
  ]);
  return drawTable(
    ['TYPE', 'BEFORE', 'AFTER', 'GROWTH'],
    rows,
    types.map(({ growth }) => growth),
    view,
  );
}

function drawKinds(diff: SnapshotDiff, view: View): readonly string[] {
  const { kinds } = diff;
  if (kinds.length === 0) return [];
  const shown = view.showAll ? kinds : kinds.slice(0, SHOWN_COUNT);
  const rows = shown.map((kind) => [
    spellNumber(kind.opened),
    spellNumber(kind.closed),
    spellChange(kind.growth),
    spellKind(kind),
    spellExamples(kind, Math.max(diff.before.processCount, diff.after.processCount) > 1),
  ]);
  const lines = drawTable(
    ['OPENED', 'CLOSED', 'GROWTH', 'TYPE AND NAME', 'FOR EXAMPLE'],
    rows,
    shown.map(({ growth }) => growth),
    view,
    3,
  );
  return [...lines, ...drawRest(kinds.length - shown.length, 'kind', view)];
}

/** @param withPid of several processes, a value alone says nothing */
function spellExamples({ openedExamples, closedExamples, growth }: KindChange, withPid: boolean): string {
  const examples = growth < 0 || openedExamples.length === 0 ? closedExamples : openedExamples;
  const values = examples
    .slice(0, EXAMPLES_SHOWN)
    .map(({ pid, value }) => (withPid ? `${pid}:0x${value}` : `0x${value}`));
  return `${values.join(' ')}${examples.length > EXAMPLES_SHOWN ? ' …' : ''}`;
}

function drawRecycled({ recycledValues, recycled }: SnapshotDiff, view: View): readonly string[] {
  if (recycled === 0) return [];
  const shown = view.showAll ? recycledValues : recycledValues.slice(0, SHOWN_COUNT);
  return [
    view.theme.strong(
      `Recycled: ${recycled === 1 ? 'one value means' : `${spellNumber(recycled)} values mean`} another object than before`,
    ),
    ...shown.map((each) => `  ${drawRecycledValue(each, view)}`),
    ...drawRest(recycledValues.length - shown.length, 'pair of kinds', view),
  ];
}

function drawRecycledValue({ from, to, count, examples }: RecycledValues, { theme, width }: View): string {
  const [example] = examples;
  // A single value is shown with its names, several with what they have in common.
  const [head, left, right, tail] =
    count === 1 && example !== undefined
      ? [`0x${example.before.value}: `, spellHandle(example.before), spellHandle(example.after), '']
      : [`${spellNumber(count)} × `, spellKind(from), spellKind(to), `, for example 0x${example?.before.value}`];
  const arrow = ` ${theme.signs.arrow} `;
  const room = Math.max(20, width - 2 - textWidth(head + arrow + tail));
  const leftShown = cutMiddle(left, Math.max(Math.floor(room / 2), room - textWidth(right)), theme.signs.ellipsis);
  return `${head}${leftShown}${arrow}${cutMiddle(right, room - textWidth(leftShown), theme.signs.ellipsis)}${tail}`;
}

function drawChanged({ changed, changedExamples }: SnapshotDiff, { theme, width }: View): readonly string[] {
  if (changed === 0) return [];
  return [
    theme.strong(
      `Changed: ${changed === 1 ? 'one handle is' : `${spellNumber(changed)} handles are`} of the same object, in another state`,
    ),
    ...changedExamples
      .slice(0, CHANGED_SHOWN)
      .map((pair) => `  ${cutMiddle(spellPair(pair), width - 2, theme.signs.ellipsis)}`),
  ];
}

function spellPair({ before, after }: HandlePair): string {
  const differences = [
    before.inheritable === after.inheritable
      ? ''
      : after.inheritable
        ? 'is inheritable now'
        : 'is no longer inheritable',
    before.protectFromClose === after.protectFromClose
      ? ''
      : after.protectFromClose
        ? 'is protected from close now'
        : 'is no longer protected from close',
    before.ended === after.ended ? '' : 'has ended',
    spellStates(before.socket?.state, after.socket?.state),
    before.nameProblem === after.nameProblem
      ? ''
      : `name: ${escapeText(before.nameProblem ?? 'known')}, now ${escapeText(after.nameProblem ?? 'known')}`,
  ].filter((part) => part !== '');
  return `0x${after.value} ${spellHandle(after)}${differences.length === 0 ? '' : `: ${differences.join(', ')}`}`;
}

/** A file that turned out to be a socket has a state on one side only. */
function spellStates(before: string | undefined, after: string | undefined): string {
  if (before === after) return '';
  const parts = [before === undefined ? [] : `was ${before}`, after === undefined ? [] : `is ${after}`];
  return escapeText(parts.flat().join(', '));
}

function drawProcesses({ startedProcesses, endedProcesses }: SnapshotDiff, { width }: View): readonly string[] {
  const list = (word: string, processes: SnapshotDiff['startedProcesses']): readonly string[] =>
    processes.length === 0
      ? []
      : wrapText(
          `Only ${word}: ${processes.map(({ image, pid }) => `${escapeText(image)} (${pid})`).join(', ')}`,
          width,
        );
  return [...list('before', endedProcesses), ...list('after', startedProcesses)];
}

function drawUnseen({ before, after }: SnapshotDiff, { theme, width }: View): readonly string[] {
  const missing = [before, after].filter(({ namesMissing }) => namesMissing > 0);
  return missing
    .flatMap(({ file, namesMissing }) =>
      wrapText(
        namesMissing === 1
          ? `Not seen: the name of one handle in ${escapeText(file)}. It counts as a handle without a name.`
          : `Not seen: the names of ${spellNumber(namesMissing)} handles in ${escapeText(file)}. They count as handles without a name.`,
        width,
      ),
    )
    .map((line) => theme.level.warning(line));
}

function drawVerdict(
  { opened, closed, recycled, growth, kinds, changed }: SnapshotDiff,
  { theme, width }: View,
): readonly string[] {
  const grown = kinds.filter((kind) => kind.growth > 0);
  if (opened + closed === 0) {
    return wrapText(
      `${theme.signs.good} No handle was opened or closed${changed > 0 ? ', only changed' : ''}.`,
      width,
    ).map((line) => theme.strong(theme.good(line)));
  }
  const parts = [
    `${spellNumber(opened)} opened, ${spellNumber(closed)} closed${recycled > 0 ? ` (${spellNumber(recycled)} of both on recycled values)` : ''}: ${spellChange(growth)} handles`,
    grown.length === 0
      ? 'no kind has grown'
      : `${grown.length === 1 ? 'one kind has' : `${spellNumber(grown.length)} kinds have`} grown`,
  ];
  const advice = grown.length === 0 ? '' : ` To see where handles are opened: ${toolName} run.`;
  const paint = grown.length === 0 ? theme.good : theme.level.warning;
  return wrapText(
    `${grown.length === 0 ? theme.signs.good : theme.signs.bad} ${parts.join('; ')}.${advice}`,
    width,
  ).map((line) => theme.strong(paint(line)));
}

function drawRest(count: number, noun: string, { theme }: View): readonly string[] {
  if (count <= 0) return [];
  return [
    theme.dim(`  and ${spellNumber(count)} more ${count === 1 ? noun : noun.replace(/^\w+/, '$&s')}: --all shows them`),
  ];
}

/**
 * Columns side by side; `flexible` is the one that is cut to the width. Numbers, which are the first columns or all but
 * the first, to the right.
 */
function drawTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  growths: readonly number[],
  { theme, width }: View,
  flexible: number = 0,
): readonly string[] {
  const widths = head.map((title, column) =>
    Math.max(textWidth(title), ...rows.slice(0, 10_000).map((row) => textWidth(row[column]!))),
  );
  const others = widths.reduce((sum, each, column) => sum + (column === flexible ? 0 : each + 2), 0);
  widths[flexible] = Math.min(widths[flexible]!, Math.max(12, width - others));
  const draw = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const text = cutMiddle(cell, widths[column]!, theme.signs.ellipsis);
        const isText = column === flexible || column > 3;
        return isText ? padText(text, widths[column]!) : ' '.repeat(widths[column]! - textWidth(text)) + text;
      })
      .join('  ')
      .trimEnd();
  return [
    theme.dim(draw(head)),
    ...rows.map((row, index) => (growths[index]! > 0 ? theme.level.warning(draw(row)) : draw(row))),
  ];
}

function spellKind({ type, pattern }: HandleKind): string {
  return pattern === '' ? `${escapeText(type)} without a name` : `${escapeText(type)} ${escapeText(pattern)}`;
}

function spellHandle({ type, name, socket }: DiffHandle): string {
  if (socket !== undefined)
    return ['Socket', socket.protocol, socket.local, socket.remote]
      .filter((part) => part !== undefined)
      .map((part) => escapeText(part))
      .join(' ');
  return name === undefined ? `${escapeText(type)} without a name` : `${escapeText(type)} ${escapeText(name)}`;
}

/** The differences for machines: docs/snapshot.md names the keys. */
export function diffToJson(diff: SnapshotDiff): object {
  const side = ({ file, host, taken, tool, handleCount, namesMissing, processCount }: DiffSide): object => ({
    file,
    tool,
    host,
    taken,
    processCount,
    handleCount,
    namesMissing,
  });
  const pair = ({ before, after }: HandlePair): object => ({ before: handle(before), after: handle(after) });
  return {
    schemaVersion: 1,
    before: side(diff.before),
    after: side(diff.after),
    opened: diff.opened,
    closed: diff.closed,
    recycled: diff.recycled,
    changed: diff.changed,
    growth: diff.growth,
    types: diff.types,
    kinds: diff.kinds.map(({ type, pattern, opened, closed, growth, openedExamples, closedExamples }) => ({
      type,
      pattern,
      opened,
      closed,
      growth,
      openedExamples: openedExamples.map(handle),
      closedExamples: closedExamples.map(handle),
    })),
    recycledValues: diff.recycledValues.map(({ from, to, count, examples }) => ({
      from,
      to,
      count,
      examples: examples.map(pair),
    })),
    changedExamples: diff.changedExamples.map(pair),
    startedProcesses: diff.startedProcesses,
    endedProcesses: diff.endedProcesses,
  };
}

function handle({
  pid,
  value,
  type,
  access,
  name,
  nameProblem,
  socket,
  inheritable,
  protectFromClose,
  ended,
}: DiffHandle): object {
  return {
    pid,
    value: `0x${value}`,
    type,
    access: `0x${access.toString(16)}`,
    inheritable,
    protectFromClose,
    name,
    nameProblem,
    socket,
    ended,
  };
}
