import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { win32 } from 'node:path';

import { InvalidArgumentError } from 'commander';

import type { Report } from '../model.ts';
import {
  type Companion,
  companions,
  formatsOverTime,
  isReporterName,
  type ReporterName,
  reporterNames,
  type ReportOptions,
  reporters,
} from '../report/index.ts';
import type { Level } from '../rules.ts';
import { encodePieces } from '../text/pieces.ts';
import { toWindowsPath } from '../wine/paths.ts';
import { explainFileFailure } from './gate/file-failure.ts';
import { isOnLinux, sourcePathOptions, toHostPath } from './screen/host-paths.ts';
import { SourceLines } from './source-lines.ts';
import { describeOutput, type OutputStream, write, writeAll } from './screen/terminal.ts';
import { UserError } from '../user-error.ts';

/** One `--reporter name[=file]`. */
export interface ReporterChoice {
  readonly name: ReporterName;
  /** A path for Windows. Without one, the table goes to stderr, every other format to stdout. */
  readonly file?: string;
}

/** The choice of what a report shows, in every format. */
export interface ReportAppearance {
  /** Whether a table shows every finding in full, however long it gets. */
  readonly all: boolean;
  readonly notes: boolean;
  /** Whether suppressed findings are listed too. */
  readonly suppressed: boolean;
  readonly systemFrames: boolean;
  /** The level from which on new findings fail the build. */
  readonly failOn: Level | 'never';
}

/** A report cannot be written to the place that the user chose. */
class ReportFileError extends UserError {
  constructor(file: string, why: string, advice: string) {
    const shown = isOnLinux() ? toHostPath(file) : file;
    super(`Cannot write report "${shown}": ${why}. Try ${advice}.`);
  }
}

/**
 * Parses `name[=file]`, for commander.
 *
 * @throws InvalidArgumentError for an unknown name, and for a place that another report goes to
 */
export function parseReporter(value: string, previous: readonly ReporterChoice[] = []): readonly ReporterChoice[] {
  const [name = '', ...rest] = value.split('=');
  if (!isReporterName(name)) {
    // Made only here, because it takes 20 ms.
    const known = new Intl.ListFormat('en', { type: 'disjunction' }).format(reporterNames);
    throw new InvalidArgumentError(`There is no reporter "${name}". Try ${known}.`);
  }
  const file = rest.join('=');
  if (value.includes('=') && file === '') throw new InvalidArgumentError('The file name is missing after "=".');
  return addReporter(previous, file === '' ? { name } : { name, file: toWindowsPath(file) });
}

/**
 * Adds a report. One that is there already is not added again.
 *
 * @throws InvalidArgumentError when another report goes to the same place: one of them would be lost, or both
 *   unreadable
 */
export function addReporter(choices: readonly ReporterChoice[], choice: ReporterChoice): readonly ReporterChoice[] {
  const rival = choices.find((each) => placeOf(each) === placeOf(choice));
  if (rival === undefined) return [...choices, choice];
  if (rival.name === choice.name) return choices;
  throw new InvalidArgumentError(`The ${rival.name} report goes there already. Try another file.`);
}

function placeOf({ name, file }: ReporterChoice): string {
  return file === undefined ? `stream ${streamOf(name)}` : `file ${file.toLowerCase()}`;
}

/** Whether a report shows how the number of open handles moved. */
export function showsTime(choices: readonly ReporterChoice[]): boolean {
  return choices.some(({ name }) => formatsOverTime.has(name));
}

/** Whether a report goes to stdout, so that the target's own output must go elsewhere. */
export function takesStdout(choices: readonly ReporterChoice[]): boolean {
  return choices.some(({ name, file }) => file === undefined && streamOf(name) === 1);
}

/**
 * Checks that every report can be written, before hours are spent on an audit. Leaves nothing behind.
 *
 * @throws ReportFileError when one cannot
 */
export function checkReportFiles(choices: readonly ReporterChoice[]): void {
  for (const { name, file } of choices) {
    const companion = findCompanion(name);
    if (companion !== undefined) attempt(companion.file, () => checkAddition(companion.file));
    if (file === undefined) continue;
    attempt(file, () => {
      refuseDirectory(file);
      if (opensAsDevice(file)) return;
      closeSync(openSync(unfinished(file), 'w'));
    });
    rmSync(unfinished(file), { force: true });
  }
}

/** @throws Error of the system when nothing can be added to the file */
function checkAddition(file: string): void {
  refuseDirectory(file);
  const isNew = !existsSync(file);
  closeSync(openSync(file, 'a'));
  if (isNew) rmSync(file, { force: true });
}

/** Windows and Wine name the error of an attempt to write to a directory each in their own way. */
function refuseDirectory(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
}

/**
 * Writes a report in every chosen format. If one fails, the others are written nevertheless.
 *
 * @throws ReportFileError when a file cannot be written; what was there before stays as it was
 */
export function writeReports(report: Report, choices: readonly ReporterChoice[], appearance: ReportAppearance): void {
  let failure: unknown;
  const sources = new SourceLines(report.target.command.slice(0, 1));
  for (const { name, file } of choices) {
    const place = file === undefined ? describeOutput(streamOf(name)) : { colorLevel: 0 as const, columns: 120 };
    const options: ReportOptions = {
      colorLevel: place.colorLevel,
      columns: place.columns,
      readSource: (path) => sources.read(path),
      repositoryDirectory: findRepository(process.cwd()),
      failOn: appearance.failOn,
      showAll: appearance.all,
      showNotes: appearance.notes,
      showSuppressed: appearance.suppressed,
      showSystemFrames: appearance.systemFrames,
      ...sourcePathOptions(),
    };
    for (const work of [
      () => {
        const parts = encodePieces(reporters[name](report, options));
        if (file === undefined) writeParts(streamOf(name), parts);
        else writeWhole(file, parts);
      },
      () => writeCompanion(name, report, options),
    ]) {
      try {
        work();
      } catch (error) {
        failure ??= error;
      }
    }
  }
  if (failure !== undefined) throw failure;
}

/** A reader that has gone reads no further part. */
function writeParts(stream: OutputStream, parts: Iterable<Uint8Array>): void {
  for (const part of parts) if (!write(stream, part)) return;
}

/** The second text of a format, and the file that the environment names for it; `undefined` where it names none. */
function findCompanion(name: ReporterName): { readonly companion: Companion; readonly file: string } | undefined {
  const companion = companions[name];
  const path = companion === undefined ? undefined : process.env[companion.variable];
  return companion === undefined || path === undefined || path === ''
    ? undefined
    : { companion, file: toWindowsPath(path) };
}

/**
 * Adds the second text of a format, if it has one, to its file.
 *
 * @throws ReportFileError when the file cannot be written
 */
function writeCompanion(name: ReporterName, report: Report, options: ReportOptions): void {
  const { companion, file } = findCompanion(name) ?? {};
  if (companion === undefined || file === undefined) return;
  attempt(file, () => {
    refuseDirectory(file);
    const writtenSizeBytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    const text = companion.write(report, options, companion.fileSizeBytesMax - writtenSizeBytes);
    if (text !== '') withFile(file, 'a', (descriptor) => writeAll(descriptor, Buffer.from(text)));
  });
}

/** The nearest directory at or above another one that is the root of a Git work tree; or else that directory itself. */
function findRepository(directory: string): string {
  for (let each = directory; ; each = win32.dirname(each)) {
    if (existsSync(win32.join(each, '.git'))) return each;
    if (win32.dirname(each) === each) return directory;
  }
}

function streamOf(name: ReporterName): OutputStream {
  return name === 'table' ? 2 : 1;
}

/** The choices for a report before the last one: `leaks.json` becomes `leaks.2.json`. */
export function numberFiles(choices: readonly ReporterChoice[], number: number): readonly ReporterChoice[] {
  return choices.map((choice) => {
    if (choice.file === undefined) return choice;
    const { dir, name, ext } = win32.parse(choice.file);
    return { ...choice, file: win32.join(dir, `${name}.${number}${ext}`) };
  });
}

/** Writes a whole file or none: to a neighbour, which then takes its place. A device or pipe is written to directly. */
function writeWhole(file: string, parts: Iterable<Uint8Array>): void {
  attempt(file, () => {
    const isDevice = opensAsDevice(file);
    withFile(isDevice ? file : unfinished(file), isDevice ? 'a' : 'w', (descriptor) => {
      for (const part of parts) writeAll(descriptor, part);
    });
    if (!isDevice) renameSync(unfinished(file), file);
  });
}

function withFile(file: string, flags: 'a' | 'w', use: (descriptor: number) => void): void {
  const descriptor = openSync(file, flags);
  try {
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unfinished(file: string): string {
  return `${file}.${process.pid}.unfinished`;
}

/**
 * Whether the name means something other than a file: NUL, a terminal, `/dev/null` under Wine.
 *
 * @throws Error of openSync when it exists and cannot be written to
 */
function opensAsDevice(file: string): boolean {
  let opened: number;
  try {
    opened = openSync(file, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    return !fstatSync(opened).isFile();
  } finally {
    closeSync(opened);
  }
}

/** @throws ReportFileError when the work on a file fails */
function attempt(file: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    rmSync(unfinished(file), { force: true });
    // An error without a code is none of the file, but of the reporter that was asked for the next piece.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    const { why, advice } = explainFileFailure(error);
    throw new ReportFileError(file, why, advice);
  }
}
