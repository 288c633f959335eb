import { dissect } from '../analyze/stacks.ts';
import type { Frame, Stack } from '../model.ts';
import { baseName, relativePath } from './paths.ts';
import type { ReportOptions } from './reporter.ts';
import { cutEnd, cutMiddle, padText, textWidth } from './text-width.ts';
import type { Theme } from './theme.ts';

/** The means to draw a stack. */
export interface StackView {
  readonly theme: Theme;
  readonly options: ReportOptions;
  readonly width: number;
  /** Lower-case file name of the target's program: its frames need no module before the function. */
  readonly programModule: string;
}

/** How many frames of the system are shown where it has nothing but those. */
const systemFramesShown = 4;

/**
 * The frame that a person looks at first: the innermost of the programmer's own code, or the runtime's where the
 * runtime made the call for itself.
 */
export function siteFrame(stack: Stack | undefined): Frame | undefined {
  return dissect(stack ?? []).site ?? stack?.[0];
}

/** The program's frames with their places and the source line of the first; the system's folded. */
export function drawStack(stack: Stack, view: StackView): readonly string[] {
  const { theme, options } = view;
  if (stack.length === 0) return [theme.dim('no stack could be walked')];
  const site = siteFrame(stack);
  const rows =
    options.showSystemFrames === true ? stack.map((frame) => row(frame, view)) : foldedRows(stack, site, view);
  const names = rows.flatMap((each) => (each.place === '' ? [] : [textWidth(each.name)]));
  const nameWidth = Math.min(Math.max(0, ...names), Math.max(12, Math.floor(view.width * 0.45)));
  return rows.flatMap((each) => {
    const lines = [drawRow(each, nameWidth, view)];
    return each.frame === site && site !== undefined ? [...lines, ...drawSource(site, view)] : lines;
  });
}

interface Row {
  readonly name: string;
  readonly place: string;
  readonly own: boolean;
  readonly frame?: Frame;
}

function drawRow({ name, place, own }: Row, nameWidth: number, { theme, width }: StackView): string {
  const { ellipsis } = theme.signs;
  const paintName = own ? theme.strong : theme.dim;
  const paintPlace = own ? theme.place : theme.dim;
  if (place === '') return paintName(cutEnd(name, width, ellipsis));
  const shownName = padText(cutMiddle(name, nameWidth, ellipsis), nameWidth);
  return `${paintName(shownName)}  ${paintPlace(cutMiddle(place, width - nameWidth - 2, ellipsis))}`;
}

function row(frame: Frame, { theme, options, programModule }: StackView): Row {
  const module = baseName(frame.module);
  const home = module.toLowerCase() === programModule;
  const offset = `+0x${frame.offset.toString(16)}`;
  const name = frame.function ?? (frame.module === '?' ? 'code outside of all modules' : `${module}${offset}`);
  const qualified = frame.function !== undefined && !home && frame.system !== true ? `${module}!${name}` : name;
  const source = frame.file === undefined ? '' : spellSource(frame.file, options);
  const line = frame.line === undefined ? '' : `:${frame.line}`;
  // The name of a nameless frame is its module and offset already.
  const place = source !== '' ? `${source}${line}` : frame.function === undefined ? '' : `${module}${offset}`;
  // An inlined frame has no place on the stack, and a debugger may not list it: the row says why it is here.
  const mark = frame.inlined === true ? ' (inlined)' : '';
  return { name: theme.escape(qualified), place: theme.escape(place) + mark, own: isOwn(frame), frame };
}

function spellSource(file: string, { baseDirectory, showSourcePath }: ReportOptions): string {
  const path = relativePath(file, baseDirectory);
  return showSourcePath === undefined ? path : showSourcePath(path);
}

/** Runs of frames that are not the programmer's own become one row each; how the thread began is left out. */
function foldedRows(stack: Stack, site: Frame | undefined, view: StackView): readonly Row[] {
  if (!stack.some((frame) => frame.system !== true)) {
    const shown = stack.slice(0, systemFramesShown).map((frame) => row(frame, view));
    const hidden = stack.length - shown.length;
    return hidden === 0
      ? shown
      : [...shown, { name: `${view.theme.signs.ellipsis} ${countFrames(hidden)} more`, place: '', own: false }];
  }
  const rows: Row[] = [];
  const isShown = (frame: Frame): boolean => isOwn(frame) || frame === site;
  for (let start = 0; start < stack.length; ) {
    if (isShown(stack[start]!)) {
      rows.push(row(stack[start]!, view));
      start += 1;
      continue;
    }
    let end = start + 1;
    while (end < stack.length && !isShown(stack[end]!)) end += 1;
    const run = stack.slice(start, end);
    // Below the program's code the function that it called says most, above it the one that called it.
    if (start === 0) rows.push(foldedRow(run, run.findLast(isNamed) ?? run.at(-1)!, view));
    else if (end < stack.length || !run.every(isThreadStart))
      rows.push(foldedRow(run, run.find(isNamed) ?? run[0]!, view));
    start = end;
  }
  return rows;
}

/** One frame that stands for a run. */
function foldedRow(run: Stack, shown: Frame, view: StackView): Row {
  const { name, place } = row(shown, view);
  const module = view.theme.escape(baseName(shown.module));
  const more = run.length === 1 ? '' : ` +${countFrames(run.length - 1)}`;
  return { name, place: isNamed(shown) ? `${module}${more}` : `${place}${more}`.trimStart(), own: false, frame: shown };
}

function isNamed(frame: Frame): boolean {
  return frame.function !== undefined;
}

function isThreadStart({ runtime, function: name }: Frame): boolean {
  return runtime === true || name === 'BaseThreadInitThunk' || name === 'RtlUserThreadStart';
}

function countFrames(count: number): string {
  return `${count} frame${count === 1 ? '' : 's'}`;
}

function isOwn(frame: Frame): boolean {
  return frame.system !== true && frame.runtime !== true;
}

/** The line that made the call, with the one before and the one after it. */
function drawSource({ file, line }: Frame, { theme, options, width }: StackView): readonly string[] {
  if (file === undefined || line === undefined) return [];
  const source = options.readSource?.(file);
  if (source?.[line - 1] === undefined) return [];
  const first = Math.max(1, line - 1);
  const excerpt = source.slice(first - 1, line + 1).map((text) => text.replace(/\r$/, '').replaceAll('\t', '    '));
  const margin = Math.min(
    ...excerpt.filter((text) => text.trim() !== '').map((text) => text.length - text.trimStart().length),
    200,
  );
  const digits = String(first + excerpt.length - 1).length;
  return excerpt.map((text, index) => {
    const number = first + index;
    const marked = number === line;
    const gutter = `  ${marked ? theme.signs.pointer : ' '} ${String(number).padStart(digits)} ${theme.signs.bar} `;
    const code = cutEnd(theme.escape(text.slice(margin).trimEnd()), width - textWidth(gutter), theme.signs.ellipsis);
    return marked
      ? theme.strong(gutter.slice(0, 4)) + theme.dim(gutter.slice(4)) + code
      : theme.dim((gutter + code).trimEnd());
  });
}
