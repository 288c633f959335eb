import type { Finding, Frame, Report } from '../model.ts';
import { rememberFrames } from './stacks/frame-memory.ts';
import { baseName, relativePath } from './paths.ts';
import type { ReportOptions } from './reporter.ts';
import { isOwn, siteFrame } from './stacks/stack-view.ts';

/** A place in a file of the repository. */
export interface SourcePlace {
  /** Relative to the root of the repository, with slashes. The text is not escaped. */
  readonly path: string;
  /** 1-based; absent where only the file is known. */
  readonly line?: number;
}

/** Gives the place of a frame; `undefined` where its file is unknown, or not one of the repository. */
export type FindPlace = (frame: Frame) => SourcePlace | undefined;

/** The longest path that Linux opens. A longer one is none of a checked-out file. */
const pathLengthMax = 4096;

/** Finds the places of frames in the repository that the options name. */
export function findPlacesIn(options: ReportOptions): FindPlace {
  const find = rememberFrames(({ file, line }) => {
    const path = file === undefined ? undefined : pathInRepository(file, options);
    return { place: path === undefined ? undefined : { path, ...(line === undefined || line < 1 ? {} : { line }) } };
  });
  return (frame) => find(frame).place;
}

/**
 * The place that a reader looks at first: that of the finding's site, or else that of its nearest caller with a file in
 * the repository.
 */
export function placeFinding({ stacks }: Finding, findPlace: FindPlace): SourcePlace | undefined {
  const stack = stacks.offending ?? stacks.opened ?? [];
  const site = siteFrame(stack);
  for (const frame of stack.slice(site === undefined ? 0 : Math.max(0, stack.indexOf(site)))) {
    const place = isOwn(frame) ? findPlace(frame) : undefined;
    if (place !== undefined) return place;
  }
  return undefined;
}

/** The program's own file, for formats that want a place of each finding. */
export function placeProgram({ target }: Report, options: ReportOptions): SourcePlace {
  const [program = ''] = target.command;
  return { path: pathInRepository(program, options) ?? (baseName(program) || 'unknown') };
}

/** The path from the root of the repository to a file; `undefined` for a file elsewhere. */
function pathInRepository(
  file: string,
  { baseDirectory, repositoryDirectory = baseDirectory }: ReportOptions,
): string | undefined {
  if (repositoryDirectory === undefined || file === '') return undefined;
  const root = normalise(repositoryDirectory);
  const whole = normalise(absolutePath(file, baseDirectory ?? repositoryDirectory));
  const path = relativePath(whole, root);
  return path === whole || path === '' || path.length > pathLengthMax ? undefined : path;
}

/** Windows takes a path without a drive for one on the drive of the working directory. */
function absolutePath(file: string, directory: string): string {
  const path = withSlashes(file);
  if (/^[A-Za-z]:|^\/\//.test(path)) return path;
  if (path.startsWith('/')) return `${/^[A-Za-z]:/.exec(directory)?.[0] ?? ''}${path}`;
  return `${directory}/${path}`;
}

function withSlashes(path: string): string {
  return path.replace(/^\\\\\?\\(?=[A-Za-z]:)/, '').replaceAll('\\', '/');
}

/** The path with slashes, without `.`, `..` and empty parts but for those at its beginning. */
function normalise(path: string): string {
  const [, start = '', rest = ''] = /^((?:[A-Za-z]:)?\/*)(.*)$/s.exec(withSlashes(path)) ?? [];
  const parts: string[] = [];
  for (const part of rest.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return `${start}${parts.join('/')}`;
}
