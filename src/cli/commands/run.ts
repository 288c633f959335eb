import { readFileSync } from 'node:fs';

import { type Command, InvalidArgumentError, Option } from 'commander';

import type { SuppressionText } from '../../analyze/suppressions.ts';
import { audit } from '../../audit/index.ts';
import { MarkError, parseMarkName } from '../../marks/mark-name.ts';
import type { Report } from '../../model.ts';
import { isAtLeast, type Level } from '../../rules.ts';
import { toWindowsPath, toWindowsSymbolPath } from '../../wine/paths.ts';
import { parseDuration } from '../duration.ts';
import { exitCodes } from '../exit-codes.ts';
import { CtrlC } from '../ctrl-c.ts';
import {
  addReporter,
  checkReportFiles,
  parseReporter,
  type ReporterChoice,
  takesStdout,
  writeReports,
} from '../report-output.ts';

interface RunOptions {
  readonly reporter?: readonly ReporterChoice[];
  readonly json?: true;
  readonly failOn: Level | 'never';
  readonly requireComplete?: true;
  readonly forwardExitCode?: true;
  readonly notes?: true;
  readonly suppressed?: true;
  readonly allFrames?: true;
  readonly symbols?: string;
  readonly maxHandles: number;
  readonly quarantine?: number;
  readonly repeat?: number;
  readonly mark?: string;
  readonly warmUp: number;
  readonly settle?: number;
  readonly suppress?: readonly SuppressionText[];
  readonly defaultSuppressions: boolean;
}

/** `unclosed run`: audits a program from its first instruction to its last. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .passThroughOptions() // what stands after the program is the program's, with and without --
    .summary('run a program and report what it left unclosed, closed twice or used after closing')
    .description(
      'Runs a program as if it ran alone, and reports the handles and sockets that it left unclosed, closed twice, or used after closing. ' +
        'The report goes to stderr; a machine-readable one goes to stdout, and the program’s stdout then goes to stderr.',
    )
    .usage('[options] -- <program> [arguments...]')
    .argument('<program>', 'the program: a path, or a name to be found along PATH')
    .argument('[arguments...]', 'its arguments')
    .addOption(
      new Option('--reporter <name[=file]>', 'format of the report, repeatable: table, json, suppressions').argParser(
        parseReporter,
      ),
    )
    .option('--json', 'short for --reporter json')
    .addOption(
      new Option('--fail-on <level>', 'exit with 1 for findings of this level or above')
        .choices(['error', 'warning', 'note', 'never'])
        .default('warning'),
    )
    .option('--require-complete', 'exit with 3 when the report could not see everything')
    .option('--forward-exit-code', 'exit with the program’s own exit code, whatever was found')
    .option('--notes', 'show findings of level note too, and not only their number')
    .option('--all-frames', 'show the frames of the system too')
    .option(
      '--suppress <file>',
      'leave out the findings that its lines match, like leak:app.exe!init_pool; repeatable',
      readSuppressions,
    )
    .option('--suppressed', 'show the findings that are suppressed too, and not only their number')
    .option('--no-default-suppressions', 'show too what is suppressed by default, like what Node.js keeps by design')
    .option(
      '--repeat <count>',
      'run the program so many times, and say in how many of the runs each finding was',
      parseRepeat,
    )
    .addOption(
      new Option(
        '--mark <name>',
        'an iteration of the program’s work is over when the event <name> is set, or with pipe:<name> when a line comes by that pipe; only leaks that grow in every iteration are errors',
      ).argParser(parseMark),
    )
    .option('--warm-up <count>', 'iterations, from the first, that may fill caches and pools', parseWarmUp, 2)
    .option(
      '--settle <ms>',
      'how long a mark waits at most for handles to be closed; for marks only: in a program at its exit nobody is left to close any',
      parseSettle,
    )
    .option('--symbols <path>', 'where to look for PDB files, as in _NT_SYMBOL_PATH')
    .addOption(
      new Option(
        '--quarantine [count]',
        `keep the last closed handle values from being used again, ${DEFAULT_QUARANTINE} unless it says how many: stale handles are found with certainty`,
      )
        .preset(String(DEFAULT_QUARANTINE))
        .argParser(parseQuarantine),
    )
    .option('--max-handles <count>', 'handle values that can be recorded', parseCount, 1 << 20)
    .action(async (name: string, args: string[], options: RunOptions, command: Command) => {
      process.exitCode = await run(name, args, options, chooseReporters(options, command));
    });
}

function chooseReporters({ reporter = [], json }: RunOptions, command: Command): readonly ReporterChoice[] {
  try {
    const choices = json ? addReporter(reporter, { name: 'json' }) : reporter;
    return choices.length > 0 ? choices : [{ name: 'table' }];
  } catch (error) {
    if (error instanceof InvalidArgumentError) command.error(`option '--json' is invalid. ${error.message}`);
    throw error;
  }
}

/** @returns the exit code */
async function run(
  name: string,
  args: readonly string[],
  options: RunOptions,
  chosen: readonly ReporterChoice[],
): Promise<number> {
  checkReportFiles(chosen);
  using interruption = new CtrlC();
  const report = await audit({
    program: toWindowsPath(name),
    args,
    targetStdout: takesStdout(chosen) ? 'stderr' : 'stdout',
    recording: {
      slotCount: options.maxHandles,
      ...(options.quarantine === undefined ? {} : { quarantine: options.quarantine }),
    },
    analysis: { warmUpIterations: options.warmUp },
    suppressions: options.suppress ?? [],
    defaultSuppressions: options.defaultSuppressions,
    settleMs: options.settle ?? 0,
    signal: interruption.signal,
    interruption: interruption.began,
    ...(options.repeat === undefined ? {} : { repeat: options.repeat }),
    ...(options.mark === undefined ? {} : { mark: options.mark }),
    ...(options.symbols === undefined ? {} : { symbolPath: toWindowsSymbolPath(options.symbols) }),
  });
  // A note that makes the build fail must be seen.
  writeReports(report, chosen, {
    notes: options.notes ?? options.failOn === 'note',
    suppressed: options.suppressed ?? false,
    systemFrames: options.allFrames ?? false,
  });
  return interruption.began.aborted ? exitCodes.interrupted : decideExitCode(report, options);
}

function decideExitCode(report: Report, options: RunOptions): number {
  if (options.forwardExitCode) return report.target.exitCode ?? exitCodes.error;
  const { failOn } = options;
  if (failOn !== 'never' && report.findings.some(({ status, level }) => status === 'new' && isAtLeast(level, failOn)))
    return exitCodes.findings;
  if (options.requireComplete && !report.completeness.complete) return exitCodes.incomplete;
  return exitCodes.clean;
}

const MAX_HANDLES_LIMIT = 1 << 24;
const DEFAULT_QUARANTINE = 1024;
const MAX_QUARANTINE = 1 << 16;
const MAX_REPEAT_LIMIT = 10_000;
const MAX_WARM_UP_LIMIT = 1_000_000;

/** The recorder wants a power of two. */
function parseQuarantine(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > MAX_QUARANTINE) {
    throw new InvalidArgumentError(`A whole number from 1 to ${MAX_QUARANTINE} is needed; the program comes after --.`);
  }
  return 2 ** Math.ceil(Math.log2(count));
}

function parseCount(value: string): number {
  return parseWhole(value, 1024, MAX_HANDLES_LIMIT);
}

function parseRepeat(value: string): number {
  return parseWhole(value, 1, MAX_REPEAT_LIMIT);
}

function parseWarmUp(value: string): number {
  return parseWhole(value, 0, MAX_WARM_UP_LIMIT);
}

function parseWhole(value: string, least: number, most: number): number {
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

/** Read before the program runs, and before hours are spent on it. */
function readSuppressions(value: string, previous: readonly SuppressionText[] = []): readonly SuppressionText[] {
  try {
    return [...previous, { source: value, text: readFileSync(toWindowsPath(value), 'utf8') }];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InvalidArgumentError(`It cannot be read${code === undefined ? '' : ` (${code})`}.`);
  }
}
