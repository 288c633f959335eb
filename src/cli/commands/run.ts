import { type Command, InvalidArgumentError, Option } from 'commander';

import { audit } from '../../audit/index.ts';
import { type ExitCodePolicy, exitCodePolicies } from '../../config/config.ts';
import { toolName } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import {
  addCapacityOptions,
  addChoiceOptions,
  addFindingOptions,
  addGateOptions,
  addMarkOptions,
  addReporterOptions,
  type AuditCliOptions,
  chooseReporters,
  decideExitCode,
  parseWhole,
  prepareJudge,
  toAppearance,
  toAuditOptions,
} from '../audit-options.ts';
import { CtrlC } from '../ctrl-c.ts';
import { openProgressLine } from '../screen/progress-line.ts';
import { addValueOption, chooseHistory, toWatchOptions, type ValueCliOptions } from '../screen/watched-value.ts';
import { combineExitCodes, exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { addStopOptions, type StopCliOptions, toStopOptions } from '../stops/stop-options.ts';
import { checkReportFiles, type ReporterChoice, showsTime, takesStdout, writeReports } from '../report-output.ts';

interface RunOptions extends AuditCliOptions, StopCliOptions, ValueCliOptions {
  readonly followChildren: boolean;
  readonly waitChildren?: true;
  readonly js?: true;
  readonly exitCodePolicy: ExitCodePolicy;
  readonly all?: true;
  readonly quarantine?: number;
  readonly repeat?: number;
}

/** `unclosed run`: audits a program from its first instruction to its last. */
export function addRunCommand(program: Command): void {
  const command = program
    .command('run')
    .passThroughOptions() // what stands after the program is the program's, with and without --
    .summary('run a program, then report the handles it left open, closed twice or used after closing')
    .description(
      'Runs a program and records every handle and socket that it opens, closes and uses. When the program ends, it reports those that were ' +
        'left open, closed twice, or used after closing, with the lines of source code that did it. Child processes are recorded, too. ' +
        'The program needs no change, and has the terminal as if it ran alone. The report goes to stderr. A report as JSON goes to stdout; the ' +
        'program’s own stdout then goes to stderr.',
    )
    .usage('[options] -- <program> [arguments...]')
    .argument('<program>', 'the program to run: a path, or a name that is looked for along PATH')
    .argument('[arguments...]', 'the program’s own arguments');
  addExamples(
    command,
    `${toolName} run -- app.exe --quick`,
    `${toolName} run --baseline unclosed.baseline --reporter table --reporter sarif=unclosed.sarif -- build/tests.exe`,
  );
  addChoiceOptions(addReporterOptions(command))
    .option('--js', 'name the functions of JavaScript, in Node.js; adds flags of V8 to its arguments')
    .option('--follow-children', 'record child processes, too, and theirs', true)
    .option('--no-follow-children', 'record the program only, and leave its child processes alone')
    .option(
      '--wait-children',
      'go on until all child processes have ended; otherwise those are left that outlive the program',
    )
    .addOption(
      new Option(
        '--exit-code-policy <policy>',
        'exit with the code of the findings, with that of the program, or with that of the first one named which failed',
      )
        .choices(exitCodePolicies)
        .default('findings')
        .env('UNCLOSED_EXIT_CODE_POLICY'),
    )
    .addOption(
      new Option('--forward-exit-code', 'short for --exit-code-policy program').implies({ exitCodePolicy: 'program' }),
    )
    .option('--all', 'show every finding in full; otherwise the table has at most 100 lines, and shows the worst');
  addGateOptions(addFindingOptions(command)).option(
    '--repeat <count>',
    'run the program this many times, and say in how many runs each finding appeared',
    parseRepeat,
  );
  addMarkOptions(addValueOption(command));
  addStopOptions(command).addOption(
    new Option(
      '--quarantine [count]',
      `give the last closed handle values to no new handle, ${DEFAULT_QUARANTINE} of them unless a count is given: then every use of a closed handle is found`,
    )
      .preset(String(DEFAULT_QUARANTINE))
      .argParser(parseQuarantine),
  );
  addCapacityOptions(command).action(async (name: string, args: string[], options: RunOptions) => {
    const history = chooseHistory(options, command);
    process.exitCode = await run(name, args, { ...options, history }, chooseReporters(options, command));
  });
}

/** @returns the exit code */
async function run(
  name: string,
  args: readonly string[],
  options: RunOptions,
  chosen: readonly ReporterChoice[],
): Promise<number> {
  checkReportFiles(chosen);
  const judge = prepareJudge(options);
  using interruption = new CtrlC();
  using progress = openProgressLine();
  const audited = await audit({
    program: toWindowsPath(name),
    args,
    targetStdout: takesStdout(chosen) ? 'stderr' : 'stdout',
    recording: {
      slotCount: options.maxHandles,
      history: options.history,
      ...(options.quarantine === undefined ? {} : { quarantine: options.quarantine }),
    },
    ...toAuditOptions(options),
    ...toStopOptions(options),
    javaScript: options.js ?? false,
    countOverTime: showsTime(chosen),
    followChildren: options.followChildren,
    waitChildren: options.waitChildren ?? false,
    signal: interruption.signal,
    interruption: interruption.began,
    onProgress: (part) => progress.note(part?.work, part?.module),
    ...(options.repeat === undefined ? {} : { repeat: options.repeat }),
    ...toWatchOptions(options, toWindowsPath(name)),
  });
  const report = judge.conclude(audited);
  writeReports(report, chosen, toAppearance(options, options.all ?? false));
  judge.throwFailure();
  if (interruption.began.aborted) return exitCodes.interrupted;
  return combineExitCodes(options.exitCodePolicy, decideExitCode(report, options), report.target.exitCode);
}

const DEFAULT_QUARANTINE = 1024;
const MAX_QUARANTINE = 1 << 16;
const MAX_REPEAT_LIMIT = 10_000;

/** The recorder wants a power of two. */
function parseQuarantine(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > MAX_QUARANTINE) {
    throw new InvalidArgumentError(`A whole number from 1 to ${MAX_QUARANTINE} is needed; the program comes after --.`);
  }
  return 2 ** Math.ceil(Math.log2(count));
}

function parseRepeat(value: string): number {
  return parseWhole(value, 1, MAX_REPEAT_LIMIT);
}
