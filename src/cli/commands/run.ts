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
  readonly all?: true;
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
    .summary('run a program, then report the handles it left open, closed twice or used after closing')
    .description(
      'Runs a program and records every handle and socket that it opens, closes and uses. When the program ends, it reports those that were ' +
        'left open, closed twice, or used after closing, with the lines of source code that did it. The program needs no change, and has the ' +
        'terminal as if it ran alone. The report goes to stderr. A report as JSON goes to stdout; the program’s own stdout then goes to stderr.',
    )
    .usage('[options] -- <program> [arguments...]')
    .argument('<program>', 'the program to run: a path, or a name that is looked for along PATH')
    .argument('[arguments...]', 'the program’s own arguments')
    .addOption(
      new Option(
        '--reporter <name[=file]>',
        'write the report as table, json or suppressions, to a file if one is given; repeatable',
      ).argParser(parseReporter),
    )
    .option('--json', 'short for --reporter json')
    .addOption(
      new Option('--fail-on <level>', 'exit with 1 if there is a finding of this level or a higher one')
        .choices(['error', 'warning', 'note', 'never'])
        .default('warning'),
    )
    .option('--require-complete', 'exit with 3 if something could not be recorded, so that findings may be missing')
    .option('--forward-exit-code', 'exit with the program’s own exit code, whether or not there are findings')
    .option('--all', 'show every finding in full; otherwise the table has at most 100 lines, and shows the worst')
    .option('--notes', 'show the findings of level note, too')
    .option('--all-frames', 'show whole stacks, with the functions of Windows')
    .option(
      '--suppress <file>',
      'leave out the findings that a line of this file matches, such as leak:app.exe!init_pool; repeatable',
      readSuppressions,
    )
    .option('--suppressed', 'show the findings that a suppression leaves out, too')
    .option(
      '--no-default-suppressions',
      'show the findings that are left out by default, too: handles that Node.js keeps by design',
    )
    .option(
      '--repeat <count>',
      'run the program this many times, and say in how many runs each finding appeared',
      parseRepeat,
    )
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
      '--symbols <path>',
      'where to look for PDB files: directories and symbol servers with semicolons between them; by default _NT_SYMBOL_PATH',
    )
    .addOption(
      new Option(
        '--quarantine [count]',
        `give the last closed handle values to no new handle, ${DEFAULT_QUARANTINE} of them unless a count is given: then every use of a closed handle is found`,
      )
        .preset(String(DEFAULT_QUARANTINE))
        .argParser(parseQuarantine),
    )
    .option('--max-handles <count>', 'how many different handle values can be recorded', parseCount, 1 << 20)
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
    all: options.all ?? false,
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
