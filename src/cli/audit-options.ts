import { readFileSync } from 'node:fs';

import { type Command, InvalidArgumentError, Option } from 'commander';

import { DEFAULT_HISTORY, MAX_HISTORY } from '../agent/ledger/earlier-life.ts';
import type { SuppressionText } from '../analyze/suppressions.ts';
import type { AuditOptions } from '../audit/options.ts';
import { MarkError, parseMarkName } from '../marks/mark-name.ts';
import type { Report } from '../model.ts';
import { reporterNames } from '../report/index.ts';
import { isAtLeast, type Level } from '../rules.ts';
import { toWindowsPath, toWindowsSymbolPath } from '../wine/paths.ts';
import { parseDuration } from './duration.ts';
import { type Configuration, configFileName, configure } from './gate/configuration.ts';
import { ReportJudge } from './gate/judge.ts';
import { exitCodes } from './exit-codes.ts';
import { addReporter, parseReporter, type ReportAppearance, type ReporterChoice } from './report-output.ts';
import { spellDownload } from './symbol-downloads.ts';
import { write } from './screen/terminal.ts';

// The options that every command has that audits.

/** The values of {@link addReporterOptions} and the other groups of options. */
export interface AuditCliOptions {
  readonly reporter?: readonly ReporterChoice[];
  readonly json?: true;
  readonly failOn: Level | 'never';
  readonly requireComplete?: true;
  readonly notes?: true;
  readonly suppressed?: true;
  readonly allFrames?: true;
  readonly symbols?: string;
  readonly jsLogs?: string;
  readonly maxHandles: number;
  readonly history: number;
  readonly mark?: string;
  readonly warmUp: number;
  readonly settle?: number;
  readonly leaksBySection?: true;
  readonly suppress?: readonly SuppressionText[];
  readonly defaultSuppressions: boolean;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly baseline?: string;
  readonly updateBaseline?: true;
  readonly pruneBaseline?: true;
  /** Read by {@link addGateOptions}, not by a flag. */
  readonly configuration?: Configuration;
  /** Those of the configuration. */
  readonly inlineSuppressions?: SuppressionText;
}

/** Adds the options that say where reports go, and when they fail a build. */
export function addReporterOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--reporter <name[=file]>',
        `write the report in a format, to a file if one is given; repeatable: ${reporterNames.join(', ')}`,
      ).argParser(parseReporter),
    )
    .option('--json', 'short for --reporter json')
    .addOption(
      new Option('--fail-on <level>', 'exit with 1 if there is a finding of this level or a higher one')
        .choices(['error', 'warning', 'note', 'never'])
        .default('warning')
        .env('UNCLOSED_FAIL_ON'),
    )
    .option('--require-complete', 'exit with 3 if something could not be recorded, so that findings may be missing');
}

/** Adds the options that choose among several processes. */
export function addChoiceOptions(command: Command): Command {
  return command
    .option(
      '--only <program>',
      'report on processes of this program only, such as worker.exe; others are followed, but not judged; repeatable',
      collectProgram,
    )
    .option(
      '--skip <program>',
      'leave child processes of this program alone, with all that they start; repeatable',
      collectProgram,
    );
}

/** Adds the options for what is accepted, and for the configuration file, from which the command then takes options. */
export function addGateOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--baseline <file>',
        'fail only for findings that this file does not have, or has with a smaller count',
      ).env('UNCLOSED_BASELINE'),
    )
    .addOption(
      new Option('--update-baseline', 'write the baseline, so that it has these findings and no others').conflicts(
        'pruneBaseline',
      ),
    )
    .option('--prune-baseline', 'take out of the baseline what is not found any more, and add nothing')
    .addOption(
      new Option(
        '--config <file>',
        `read options from this file; by default from ${configFileName}, or "unclosed" in package.json, here or in a directory above. Flags and the environment go before it`,
      ).env('UNCLOSED_CONFIG'),
    )
    .option('--no-config', 'read no configuration file')
    .hook('preAction', configure);
}

/** Adds the options that say which findings are shown, and how. */
export function addFindingOptions(command: Command): Command {
  return command
    .option('--notes', 'show the findings of level note, too')
    .option('--all-frames', 'show whole stacks, with the functions of Windows')
    .option(
      '--suppress <file>',
      'leave out the findings that a line of this file matches, such as leak:app.exe!init_pool; repeatable',
      readSuppressions,
    )
    .option('--suppressed', 'show suppressed and known findings, too')
    .option(
      '--no-default-suppressions',
      'show the findings that are left out by default, too: handles that Node.js keeps by design, a mistake of Wine’s cmd.exe',
    );
}

/** Adds the options by which iterations are marked and symbols found. */
export function addMarkOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--mark <name>',
        'count the open handles each time the event <name> is set, or a line arrives on the pipe if it is pipe:<name>: an iteration of the work is over. Only leaks that grow in every iteration are errors',
      ).argParser(parseMark),
    )
    .option('--warm-up <count>', 'how many of the first iterations may fill caches and pools', parseWarmUp, 2)
    .option(
      '--settle <ms>',
      'at each mark, wait up to this long for handles that another thread still closes',
      parseSettle,
    )
    .option(
      '--leaks-by-section',
      'a handle that a section (begin <name> … end <name> on the pipe of --mark, such as a test) opens and leaves open at its end is a leak, even if it is closed later',
    )
    .addOption(
      new Option(
        '--symbols <path>',
        'where to look for PDB files: directories and symbol servers with semicolons between them; by default _NT_SYMBOL_PATH',
      ).env('UNCLOSED_SYMBOLS'),
    )
    .option('--js-logs <directory>', 'name the functions of JavaScript by the logs that V8 keeps in a directory');
}

/** Adds the options for the size of the recorder. */
export function addCapacityOptions(command: Command): Command {
  return command
    .option('--max-handles <count>', 'how many different handle values can be recorded', parseCount, 1 << 20)
    .option(
      '--history <count>',
      'how many earlier lives of each handle value are kept, to show who closed it first; up to the next power of two',
      parseHistory,
      DEFAULT_HISTORY,
    );
}

/** The reports that the options ask for: a table unless they ask for others. */
export function chooseReporters({ reporter = [], json }: AuditCliOptions, command: Command): readonly ReporterChoice[] {
  try {
    const choices = json ? addReporter(reporter, { name: 'json' }) : reporter;
    return choices.length > 0 ? choices : [{ name: 'table' }];
  } catch (error) {
    if (error instanceof InvalidArgumentError) command.error(`option '--json' is invalid. ${error.message}`);
    throw error;
  }
}

/** The exit code that a report asks for. */
export function decideExitCode(report: Report, options: AuditCliOptions): number {
  const { failOn } = options;
  if (failOn !== 'never' && report.findings.some(({ status, level }) => status === 'new' && isAtLeast(level, failOn)))
    return exitCodes.findings;
  if (options.requireComplete && !report.completeness.complete) return exitCodes.incomplete;
  return exitCodes.clean;
}

/** Translates the options for the audit. */
export function toAuditOptions(
  options: AuditCliOptions,
): Pick<
  AuditOptions,
  | 'analysis'
  | 'suppressions'
  | 'defaultSuppressions'
  | 'settleMs'
  | 'mark'
  | 'leaksBySection'
  | 'symbolPath'
  | 'javaScriptLogs'
  | 'onSymbolDownload'
  | 'only'
  | 'skip'
> {
  return {
    analysis: { warmUpIterations: options.warmUp },
    suppressions: [
      ...(options.suppress ?? []),
      ...(options.inlineSuppressions === undefined ? [] : [options.inlineSuppressions]),
    ],
    defaultSuppressions: options.defaultSuppressions,
    settleMs: options.settle ?? 0,
    ...(options.mark === undefined ? {} : { mark: options.mark }),
    leaksBySection: options.leaksBySection ?? false,
    ...(options.symbols === undefined ? {} : { symbolPath: toWindowsSymbolPath(options.symbols) }),
    ...(options.jsLogs === undefined ? {} : { javaScriptLogs: toWindowsPath(options.jsLogs) }),
    onSymbolDownload: (download) => {
      const line = spellDownload(download);
      if (line !== undefined) write(2, line);
    },
    ...(options.only === undefined ? {} : { only: options.only }),
    ...(options.skip === undefined ? {} : { skip: options.skip }),
  };
}

/** Translates the options for the looks of a report. */
export function toAppearance(options: AuditCliOptions, all: boolean): ReportAppearance {
  return {
    all,
    notes: showsNotes(options),
    suppressed: options.suppressed ?? false,
    systemFrames: options.allFrames ?? false,
    failOn: options.failOn,
  };
}

/** Prepares the verdicts on reports, by the configuration and the baseline. */
export function prepareJudge(options: AuditCliOptions): ReportJudge {
  return ReportJudge.prepare({ ...options, notes: showsNotes(options) });
}

/** A note that makes the build fail must be seen. */
function showsNotes({ notes, failOn }: AuditCliOptions): boolean {
  return notes ?? failOn === 'note';
}

const MAX_HANDLES_LIMIT = 1 << 24;
const MAX_WARM_UP_LIMIT = 1_000_000;

function parseCount(value: string): number {
  return parseWhole(value, 1024, MAX_HANDLES_LIMIT);
}

/** The recorder wants a power of two. */
function parseHistory(value: string): number {
  return 2 ** Math.ceil(Math.log2(parseWhole(value, 1, MAX_HISTORY)));
}

function parseWarmUp(value: string): number {
  return parseWhole(value, 0, MAX_WARM_UP_LIMIT);
}

/**
 * Parses a whole number, for commander.
 *
 * @throws InvalidArgumentError for anything else
 */
export function parseWhole(value: string, least: number, most: number): number {
  const count = Number(value);
  if (!/^\d+$/.test(value) || count < least || count > most)
    throw new InvalidArgumentError(`A whole number from ${least} to ${most} is needed.`);
  return count;
}

/** Milliseconds, or a duration with its unit. */
function parseSettle(value: string): number {
  return parseDuration(/^\d+$/.test(value) ? `${value}ms` : value, 0);
}

function parseMark(value: string): string {
  try {
    parseMarkName(value);
    return value;
  } catch (error) {
    if (error instanceof MarkError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function collectProgram(value: string, previous: readonly string[] = []): readonly string[] {
  if (value === '') throw new InvalidArgumentError('The name of a program is needed.');
  return [...previous, value];
}

/** Read before the program runs, and before hours are spent on it. */
function readSuppressions(value: string, previous: readonly SuppressionText[] = []): readonly SuppressionText[] {
  try {
    return [...previous, { source: value, text: readFileSync(toWindowsPath(value), 'utf8') }];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InvalidArgumentError(`It cannot be read${code === undefined ? '' : ` (${code})`}.`);
  }
}
