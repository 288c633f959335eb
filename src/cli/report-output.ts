import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { InvalidArgumentError } from 'commander';

import type { Report } from '../model.ts';
import { isReporterName, type ReporterName, reporterNames, reporters } from '../report/index.ts';
import { toWindowsPath } from '../wine/paths.ts';
import { describeOutput, type OutputStream, write } from './terminal.ts';

/** One `--reporter name[=file]`. */
export interface ReporterChoice {
  readonly name: ReporterName;
  /** A file as Windows takes it; absent: the table goes to stderr, every other format to stdout. */
  readonly file?: string;
}

/** How reports are shown, beside their format. */
export interface ReportAppearance {
  readonly notes: boolean;
  readonly systemFrames: boolean;
}

/**
 * Takes `name[=file]` apart, for commander.
 *
 * @throws InvalidArgumentError for a name that is no reporter's
 */
export function parseReporter(value: string, previous: readonly ReporterChoice[] = []): readonly ReporterChoice[] {
  const [name = '', ...rest] = value.split('=');
  if (!isReporterName(name)) throw new InvalidArgumentError(`There is no reporter ${JSON.stringify(name)}. Try ${reporterNames.join(' or ')}.`);
  const file = rest.join('=');
  if (value.includes('=') && file === '') throw new InvalidArgumentError('The file name is missing after "=".');
  return [...previous, file === '' ? { name } : { name, file: toWindowsPath(file) }];
}

/** Whether a report takes stdout, so that the target's own must go elsewhere. */
export function takesStdout(choices: readonly ReporterChoice[]): boolean {
  return choices.some(({ name, file }) => file === undefined && streamOf(name) === 1);
}

/**
 * Writes a report in every chosen format.
 *
 * @throws Error when a file cannot be written; what was there before stays as it was
 */
export function writeReports(report: Report, choices: readonly ReporterChoice[], appearance: ReportAppearance): void {
  for (const { name, file } of choices) {
    const place = file === undefined ? describeOutput(streamOf(name)) : { colorLevel: 0 as const, columns: 120 };
    const text = reporters[name](report, {
      colorLevel: place.colorLevel,
      columns: place.columns,
      readSource,
      baseDirectory: process.cwd(),
      showNotes: appearance.notes,
      showSystemFrames: appearance.systemFrames,
    });
    if (file === undefined) write(streamOf(name), text);
    else writeWhole(file, text);
  }
}

function streamOf(name: ReporterName): OutputStream {
  return name === 'table' ? 2 : 1;
}

const sources = new Map<string, readonly string[] | undefined>();

function readSource(file: string): readonly string[] | undefined {
  if (!sources.has(file)) sources.set(file, tryReadLines(file));
  return sources.get(file);
}

function tryReadLines(file: string): readonly string[] | undefined {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return undefined; // the program was built elsewhere, or its source has moved: the report does without
  }
}

/** Never half a file: written beside it, then put in its place. */
function writeWhole(file: string, text: string): void {
  const unfinished = `${file}.${process.pid}.unfinished`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new Error(`Cannot write report ${JSON.stringify(file)}: ${code}. Try another file.`);
  }
}
