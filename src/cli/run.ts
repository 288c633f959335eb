import { type Command, InvalidArgumentError, Option } from 'commander';

import { audit, interruptedNote } from '../audit.ts';
import type { Level, Report } from '../model.ts';
import { toWindowsPath, toWindowsSymbolPath } from '../wine/paths.ts';
import { exitCodes } from './exit-code.ts';
import { Interruption } from './interruption.ts';
import { addReporter, checkReportFiles, parseReporter, type ReporterChoice, takesStdout, writeReports } from './report-output.ts';

interface RunOptions {
  readonly reporter?: readonly ReporterChoice[];
  readonly json?: true;
  readonly failOn: Level | 'never';
  readonly requireComplete?: true;
  readonly forwardExitCode?: true;
  readonly notes?: true;
  readonly allFrames?: true;
  readonly symbols?: string;
  readonly maxHandles: number;
  readonly quarantine?: number;
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
    .addOption(new Option('--reporter <name[=file]>', 'format of the report, repeatable: table, json').argParser(parseReporter))
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
async function run(name: string, args: readonly string[], options: RunOptions, chosen: readonly ReporterChoice[]): Promise<number> {
  checkReportFiles(chosen);
  using interruption = new Interruption();
  const audited = await audit({
    program: toWindowsPath(name),
    args,
    targetStdout: takesStdout(chosen) ? 'stderr' : 'stdout',
    recording: { slotCount: options.maxHandles, ...(options.quarantine === undefined ? {} : { quarantine: options.quarantine }) },
    signal: interruption.signal,
    ...(options.symbols === undefined ? {} : { symbolPath: toWindowsSymbolPath(options.symbols) }),
  });
  const report = interruption.happened ? noteInterruption(audited) : audited;
  // A note that makes the build fail must be seen.
  writeReports(report, chosen, { notes: options.notes ?? options.failOn === 'note', systemFrames: options.allFrames ?? false });
  return interruption.happened ? exitCodes.interrupted : judgeExitCode(report, options);
}

/** Ctrl-C ended the target at its own exit; whether it would have ended otherwise, its exit code does not say (Wine's is 0). */
function noteInterruption(report: Report): Report {
  return { ...report, completeness: { complete: false, notes: [...new Set([interruptedNote, ...report.completeness.notes])] } };
}

function judgeExitCode(report: Report, options: RunOptions): number {
  if (options.forwardExitCode) return report.target.exitCode ?? exitCodes.error;
  const levels: readonly Level[] = ['error', 'warning', 'note'];
  const failing = options.failOn === 'never' ? [] : levels.slice(0, levels.indexOf(options.failOn) + 1);
  if (report.findings.some(({ level }) => failing.includes(level))) return exitCodes.findings;
  if (options.requireComplete && !report.completeness.complete) return exitCodes.incomplete;
  return exitCodes.clean;
}

const MAX_HANDLES_LIMIT = 1 << 24;
const DEFAULT_QUARANTINE = 1024;
const MAX_QUARANTINE = 1 << 16;

/** The recorder wants a power of two. */
function parseQuarantine(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > MAX_QUARANTINE) {
    throw new InvalidArgumentError(`A whole number from 1 to ${MAX_QUARANTINE} is needed; the program comes after --.`);
  }
  return 2 ** Math.ceil(Math.log2(count));
}


function parseCount(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1024 || count > MAX_HANDLES_LIMIT) {
    throw new InvalidArgumentError(`A whole number from 1024 to ${MAX_HANDLES_LIMIT} is needed.`);
  }
  return count;
}
