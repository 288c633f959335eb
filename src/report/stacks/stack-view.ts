import { dissect } from '../../analyze/stacks.ts';
import type { Frame, Stack } from '../../model.ts';
import { rememberFrames } from './frame-memory.ts';
import { plural } from '../numbers.ts';
import { baseName, relativePath } from '../paths.ts';
import type { ReportOptions } from '../reporter.ts';
import { cutEnd, cutMiddle, padText, textWidth } from '../text-width.ts';
import type { Theme } from '../theme.ts';

/** The means to draw a stack. */
export interface StackView {
  readonly theme: Theme;
  readonly options: ReportOptions;
  readonly width: number;
  /** Lower-case file name of the target's program: its frames need no module before the function. */
  readonly programModule: string;
  /** Absent in a full view. */
  readonly brevity?: Brevity;
}

/** How brief a view is. It has one stack of each finding in rows, and the others in a line each. */
export interface Brevity {
  /** How many rows the stack has, at most; at least 2. */
  readonly stackRows: number;
  /** How many lines of source before and after the one that made the call. */
  readonly sourceContext: number;
  /** How many handles are listed, at most. */
  readonly handles: number;
}

/** The words for an empty stack. */
export const noStack = 'no stack could be walked';

/** The words for a place that no module holds, as messages have them: its address says nothing. */
const outsideOfModules = 'code outside of all modules';

/** How many frames of the system are shown where it has nothing but those. */
const systemFramesShown = 4;

/** No recorder keeps as many frames of a stack: this is only to spend no time on a report that was made up. */
const framesDissected = 128;
const innerParts = new WeakMap<Stack, Stack>();

/** The frame that a person looks at first: the one that the rules name, mostly the programmer's own. */
export function siteFrame(stack: Stack | undefined): Frame | undefined {
  return dissect(innerPart(stack ?? [])).site ?? stack?.[0];
}

/** The same array for the same stack: {@link dissect} knows a stack again. */
function innerPart(stack: Stack): Stack {
  if (stack.length <= framesDissected) return stack;
  const known = innerParts.get(stack) ?? stack.slice(0, framesDissected);
  innerParts.set(stack, known);
  return known;
}

/**
 * The program's frames with their places and the source line of the first; the system's folded, and so are frames
 * without names.
 */
export function drawStack(stack: Stack, view: StackView): readonly string[] {
  const { theme } = view;
  if (stack.length === 0) return [theme.dim(noStack)];
  const site = siteFrame(stack);
  const rows = shorten(rowsOf(stack, view), view);
  const names = rows.flatMap((each) => (each.place === '' ? [] : [textWidth(each.name)]));
  const nameWidth = Math.min(Math.max(0, ...names), Math.max(12, Math.floor(view.width * 0.45)));
  const siteRow = site === undefined ? -1 : rows.findIndex(({ frame }) => frame === site);
  return rows.flatMap((each, index) => {
    const lines = [drawRow(each, nameWidth, view)];
    return index === siteRow ? [...lines, ...drawSource(site!, view)] : lines;
  });
}

/** The program's functions in a stack, in one line: `open_log (log.c:4) ← main (main.c:61)` */
export function drawStackLine(stack: Stack, { theme, width }: StackView): string {
  const calls = spellCalls(stack);
  if (calls.length === 0) return theme.dim(noStack);
  return cutEnd(calls.map(theme.escape).join(` ${theme.signs.calledBy} `), width, theme.signs.ellipsis);
}

/**
 * The place that a person looks at first, and the program's functions that led there: `open_log (log.c:4)`,
 * `main (main.c:61)`. Nothing where no stack could be walked. The texts are not escaped.
 */
export function spellCalls(stack: Stack): readonly string[] {
  const site = siteFrame(stack);
  if (site === undefined) return [];
  const callers = stack.slice(stack.indexOf(site) + 1).filter((frame) => isOwn(frame) && isNamed(frame));
  return [site, ...callers].map(spellSite);
}

/**
 * The place in a stack that a person looks at first: `rotate_log (log.c:42)`, or where that has no name
 * `app.exe+0x13ae below rotate_all (log.c:9)`. The text is not escaped.
 */
export function spellSiteOf(stack: Stack | undefined): string {
  const site = siteFrame(stack);
  if (stack === undefined || site === undefined) return 'unknown';
  if (isNamed(site) || site.file !== undefined) return spellSite(site);
  const caller = stack.slice(Math.max(0, stack.indexOf(site))).find((frame) => isOwn(frame) && isNamed(frame));
  if (caller === undefined) return spellSite(site);
  // The module stands before it already.
  const isAtHome = caller.file === undefined && caller.module === site.module;
  return `${spellSite(site)} below ${isAtHome ? caller.function : spellSite(caller)}`;
}

function spellSite(frame: Frame): string {
  const module = baseName(frame.module);
  const place =
    frame.file === undefined ? '' : `${baseName(frame.file)}${frame.line === undefined ? '' : `:${frame.line}`}`;
  if (frame.function !== undefined)
    return place === '' ? `${module}!${frame.function}` : `${frame.function} (${place})`;
  if (place !== '') return place;
  return frame.module === '?' ? outsideOfModules : `${module}+0x${frame.offset.toString(16)}`;
}

/** The same texts for stacks of which a reader sees the same, but for the numbers of frames that are left out. */
export function spellVisible(stack: Stack, view: StackView): readonly string[] {
  return rowsOf(stack, view).map(({ identity }) => identity);
}

/** The rows that a person sees of a stack, with their texts escaped. */
export function rowsOf(stack: Stack, view: StackView): readonly Row[] {
  return view.options.showSystemFrames === true ? stack.map((frame) => row(frame, view)) : foldedRows(stack, view);
}

/** The first rows, and how many frames the others stand for. */
function shorten(rows: readonly Row[], { brevity, theme }: StackView): readonly Row[] {
  const { stackRows = Number.POSITIVE_INFINITY } = brevity ?? {};
  if (rows.length <= stackRows) return rows;
  const rest = rows.slice(stackRows - 1).reduce((sum, { frames }) => sum + frames, 0);
  return [...rows.slice(0, stackRows - 1), remark(`${theme.signs.ellipsis} ${plural(rest, 'more frame')}`, rest)];
}

/** A frame, or several that are shown as one. */
interface Row {
  readonly name: string;
  readonly place: string;
  readonly own: boolean;
  /** How many frames it stands for. */
  readonly frames: number;
  readonly frame?: Frame;
  /** The text of the row, without the number of frames in it. */
  readonly identity: string;
}

/** A row that is no frame, but says something about some. */
function remark(name: string, frames: number, identity: string = name): Row {
  return { name, place: '', own: false, frames, identity };
}

function drawRow({ name, place, own }: Row, nameWidth: number, { theme, width }: StackView): string {
  const { ellipsis } = theme.signs;
  const paintName = own ? theme.strong : theme.dim;
  const paintPlace = own ? theme.place : theme.dim;
  if (place === '') return paintName(cutEnd(name, width, ellipsis));
  const shownName = padText(cutMiddle(name, nameWidth, ellipsis), nameWidth);
  return `${paintName(shownName)}  ${paintPlace(cutMiddle(place, width - nameWidth - 2, ellipsis))}`;
}

const knownRows = new WeakMap<Theme, (frame: Frame) => Row>();

/** The row of a frame, which is the same in all views of a report: they share its theme. */
function row(frame: Frame, view: StackView): Row {
  const known = knownRows.get(view.theme) ?? rememberFrames((each) => makeRow(each, view));
  knownRows.set(view.theme, known);
  return known(frame);
}

function makeRow(frame: Frame, view: StackView): Row {
  const { name, place, own } = spellFrame(frame, view);
  const [shownName, shownPlace] = [view.theme.escape(name), view.theme.escape(place)];
  return { name: shownName, place: shownPlace, own, frames: 1, frame, identity: `${shownName} ${shownPlace}` };
}

/** The texts of one frame. They are not escaped. */
interface FrameText {
  readonly name: string;
  /** Empty where {@link name} says it. */
  readonly place: string;
  /** It belongs to the program, and not to the system or to a compiler's runtime. */
  readonly own: boolean;
}

/** A frame in words: its function, and where that is. */
export function spellFrame(frame: Frame, { options, programModule }: Omit<StackView, 'theme' | 'width'>): FrameText {
  const module = baseName(frame.module);
  const home = module.toLowerCase() === programModule;
  const offset = `+0x${frame.offset.toString(16)}`;
  const name = frame.function ?? (frame.module === '?' ? outsideOfModules : `${module}${offset}`);
  const qualified = frame.function !== undefined && !home && frame.system !== true ? `${module}!${name}` : name;
  const source = frame.file === undefined ? '' : spellSource(frame.file, options);
  const line = frame.line === undefined ? '' : `:${frame.line}${frame.column === undefined ? '' : `:${frame.column}`}`;
  // The name of a nameless frame is its module and offset already.
  const place = source !== '' ? `${source}${line}` : frame.function === undefined ? '' : `${module}${offset}`;
  // An inlined frame has no place on the stack, and a debugger may not list it: the row says why it is here.
  const mark = frame.inlined === true ? ' (inlined)' : '';
  return { name: qualified, place: place + mark, own: isOwn(frame) };
}

function spellSource(file: string, { baseDirectory, showSourcePath }: ReportOptions): string {
  const path = relativePath(file, baseDirectory);
  return showSourcePath === undefined ? path : showSourcePath(path);
}

/**
 * Runs of frames that are not the programmer's own become one row each, and so do those of the programmer's frames that
 * have no names; how the thread began is left out.
 */
function foldedRows(stack: Stack, view: StackView): readonly Row[] {
  if (!stack.some((frame) => frame.system !== true)) {
    const shown = stack.slice(0, systemFramesShown).map((frame) => row(frame, view));
    const hidden = stack.length - shown.length;
    const more = `${view.theme.signs.ellipsis} ${plural(hidden, 'more frame')}`;
    return hidden === 0 ? shown : [...shown, remark(more, hidden, view.theme.signs.ellipsis)];
  }
  // The site is shown in any case: it is the place to look at with a debugger.
  const site = stack.indexOf(siteFrame(stack)!);
  const rows: Row[] = [];
  for (let start = 0; start < stack.length; ) {
    const first = stack[start]!;
    const kind = start === site ? 'shown' : kindOf(first);
    let end = start + 1;
    if (kind !== 'shown') while (end < stack.length && end !== site && kindOf(stack[end]!) === kind) end += 1;
    const run = stack.slice(start, end);
    if (kind === 'nameless' && run.length > 1) rows.push(namelessRow(run, view));
    else if (kind !== 'foreign') rows.push(row(first, view));
    // Below the program's code the function that it called says most, above it the one that called it.
    else if (start === 0) rows.push(foldedRow(run, run.findLast(isCalled) ?? run.at(-1)!, view));
    else if (end < stack.length || !run.every(isThreadStart))
      rows.push(foldedRow(run, run.find(isNamed) ?? run[0]!, view));
    start = end;
  }
  return rows;
}

/** Frames of one kind that follow one another may be folded, but for those that are `shown`. */
function kindOf(frame: Frame): 'shown' | 'nameless' | 'foreign' {
  if (!isOwn(frame)) return 'foreign';
  return isNamed(frame) || frame.file !== undefined ? 'shown' : 'nameless';
}

/** One frame that stands for a run. */
function foldedRow(run: Stack, shown: Frame, view: StackView): Row {
  const { name, place } = row(shown, view);
  const module = view.theme.escape(baseName(shown.module));
  const more = run.length === 1 ? '' : ` +${plural(run.length - 1, 'frame')}`;
  const where = isNamed(shown) ? module : place;
  return {
    name,
    place: `${where}${more}`.trimStart(),
    own: false,
    frames: run.length,
    frame: shown,
    identity: `${name} ${where}`,
  };
}

/** `… 12 frames of coreclr.dll and hostfxr.dll without names` */
function namelessRow(run: Stack, { theme }: StackView): Row {
  const modules = [...new Set(run.map(({ module }) => module))].map((module) =>
    module === '?' ? outsideOfModules : theme.escape(baseName(module)),
  );
  const [first = '', second = ''] = modules;
  const where =
    modules.length === 1 ? first : modules.length === 2 ? `${first} and ${second}` : `${first}, ${second} and others`;
  const text = (count: string): string => `${theme.signs.ellipsis} ${count} of ${where} without names`;
  return remark(text(plural(run.length, 'frame')), run.length, text('frames'));
}

/** The program called the function by its name: it did not know of what other software put in between. */
function isCalled(frame: Frame): boolean {
  return isNamed(frame) && frame.interposed !== true;
}

function isNamed(frame: Frame): boolean {
  return frame.function !== undefined;
}

function isThreadStart({ runtime, function: name }: Frame): boolean {
  return runtime === true || name === 'BaseThreadInitThunk' || name === 'RtlUserThreadStart';
}

/** The frame is the programmer's own code: neither the system's nor a runtime's. */
export function isOwn(frame: Frame): boolean {
  return frame.system !== true && frame.runtime !== true;
}

/** A line of a source file. Its text is not escaped. */
interface SourceLine {
  readonly number: number;
  readonly text: string;
  /** It made the call. */
  readonly marked: boolean;
}

/**
 * The line that made the call, with those around it, without the indent that they share; none where there is no source.
 *
 * @param context how many lines before and after it
 */
export function excerptOf(
  { file, line }: Frame,
  { readSource }: ReportOptions,
  context: number,
): readonly SourceLine[] {
  if (file === undefined || line === undefined) return [];
  const source = readSource?.(file);
  if (source?.[line - 1] === undefined) return [];
  const first = Math.max(1, line - context);
  const excerpt = source
    .slice(first - 1, line + context)
    .map((text) => text.replace(/\r$/, '').replaceAll('\t', '    '));
  const margin = Math.min(
    ...excerpt.filter((text) => text.trim() !== '').map((text) => text.length - text.trimStart().length),
    200,
  );
  return excerpt.map((text, index) => ({
    number: first + index,
    text: text.slice(margin).trimEnd(),
    marked: first + index === line,
  }));
}

function drawSource(frame: Frame, { theme, options, width, brevity }: StackView): readonly string[] {
  const excerpt = excerptOf(frame, options, brevity?.sourceContext ?? 1);
  const digits = String(excerpt.at(-1)?.number).length;
  return excerpt.map(({ number, text, marked }) => {
    const gutter = `  ${marked ? theme.signs.pointer : ' '} ${String(number).padStart(digits)} ${theme.signs.bar} `;
    const code = cutEnd(theme.escape(text), width - textWidth(gutter), theme.signs.ellipsis);
    return marked
      ? theme.strong(gutter.slice(0, 4)) + theme.dim(gutter.slice(4)) + code
      : theme.dim((gutter + code).trimEnd());
  });
}
