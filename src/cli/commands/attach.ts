import { type Command, InvalidArgumentError, Option } from 'commander';

import { attach, type CountedProcess, type OpenCounts } from '../../audit/index.ts';
import type { Report } from '../../model.ts';
import { findProcess, findProcesses, type ProcessInfo } from '../../process/processes.ts';
import { spellSiteOf } from '../../report/stacks/stack-view.ts';
import { describeRecording } from '../../telemetry/counts.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { toLabel } from '../../telemetry/label.ts';
import { SiteChoice } from '../../telemetry/site-choice.ts';
import { spellDuration } from '../../text/duration.ts';
import { escapeText } from '../../text/escape.ts';
import { toolName } from '../../version.ts';
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
  prepareJudge,
  toAppearance,
  toAuditOptions,
} from '../audit-options.ts';
import { parseDuration } from '../duration.ts';
import { addTelemetryOptions, openAskedTelemetry, type TelemetryCliOptions } from '../export/telemetry-options.ts';
import { addExamples } from '../help/examples.ts';
import { onInterruption } from '../interruptions.ts';
import { addStopOptions, type StopCliOptions, toStopOptions } from '../stops/stop-options.ts';
import { checkReportFiles, numberFiles, type ReporterChoice, showsTime, writeReports } from '../report-output.ts';
import { write } from '../screen/terminal.ts';
import { addValueOption, chooseHistory, toWatchOptions, type ValueCliOptions } from '../screen/watched-value.ts';

interface AttachCliOptions extends AuditCliOptions, StopCliOptions, TelemetryCliOptions, ValueCliOptions {
  readonly for?: number;
  readonly untilExit?: true;
  readonly every?: number;
  readonly reportOn?: string;
  readonly all?: true;
  readonly followChildren?: true;
  readonly allFindings?: true;
  readonly force?: true;
}

/** So many intervals are counted in the time of `--for` where `--every` says nothing else. */
const INTERVALS = 10;
/** Without `--for` it may take any time. */
const EVERY_MS = 10_000;
const SHORTEST_EVERY_MS = 50;

/** `unclosed attach`: audits a process that runs, for a while. */
export function addAttachCommand(program: Command): void {
  const command = program
    .command('attach')
    .summary('record a running process for a while, then report the handles that it leaks or misuses')
    .description(
      'Puts the recorder into a process that runs, and takes it out again when the time is over, when you press Ctrl-C, or when the process ends. ' +
        'The process stands still for some milliseconds, and goes on. Handles that it had open before are in no leak. Those that it opens meanwhile ' +
        'may yet be closed: a site is an error only if it has more handles open after every interval. The report goes to stderr, and as JSON to stdout.',
    )
    .argument('<process>', 'a process id, or a program’s name if only one process has it')
    .option(
      '--all',
      'record all processes that have the name; also takes several ids and names with commas between them',
    )
    .option('--follow-children', 'record the child processes, too, that are started meanwhile, and theirs')
    .addOption(
      new Option('--for <duration>', 'how long to record, such as 30s, 10m or 2h; by default until Ctrl-C')
        .argParser((text) => parseDuration(text, 1))
        .conflicts('untilExit'),
    )
    .option('--until-exit', 'record until the process ends, and judge what it leaves open then')
    .addOption(
      new Option(
        '--every <duration>',
        `count the open handles of each site at this interval; by default ${INTERVALS} times in the time of --for, or every ${EVERY_MS / 1000}s`,
      )
        .argParser((text) => parseDuration(text, SHORTEST_EVERY_MS))
        .conflicts('mark'),
    )
    .option(
      '--report-on <event>',
      'write a report each time the event of this name is set, and go on; files get a number: leaks.1.json',
      parseEventName,
    );
  addChoiceOptions(addReporterOptions(command))
    .option('--force', 'record even a process that Windows needs to run')
    .option(
      '--all-findings',
      'show every finding in full; otherwise the table has at most 100 lines, and shows the worst',
    );
  addTelemetryOptions(addStopOptions(addMarkOptions(addValueOption(addGateOptions(addFindingOptions(command))))));
  addExamples(
    command,
    `${toolName} attach server.exe --for 60s`,
    `${toolName} attach 4242 --until-exit --json > leaks.json`,
  );
  addCapacityOptions(command).action(async (wanted: string, options: AttachCliOptions) => {
    const history = chooseHistory(options, command);
    process.exitCode = await runAttach(wanted, { ...options, history }, chooseReporters(options, command));
  });
}

/** @returns the exit code */
async function runAttach(
  wanted: string,
  options: AttachCliOptions,
  chosen: readonly ReporterChoice[],
): Promise<number> {
  checkReportFiles(chosen);
  const judge = prepareJudge(options);
  const processes = options.all ? findOthers(wanted) : [findProcess(wanted)];
  const interruption = new AbortController();
  using _hearing = onInterruption(() => interruption.abort());
  const everyMs = options.mark === undefined ? (options.every ?? chooseInterval(options)) : undefined;
  await using telemetry = await openAskedTelemetry(options);
  const siteChoices = new Map<number, SiteChoice>();
  let earlierReports = 0;
  const writeReport = (report: Report, choices: readonly ReporterChoice[]): void =>
    writeReports(report, choices, toAppearance(options, options.allFindings ?? false));
  const audited = await attach({
    processes,
    followChildren: options.followChildren ?? false,
    force: options.force ?? false,
    slotCount: options.maxHandles,
    history: options.history,
    ...toAuditOptions(options),
    countOverTime: showsTime(chosen),
    ...toStopOptions(options),
    ...toWatchOptions(options, ''),
    signal: interruption.signal,
    ...(options.for === undefined ? {} : { forMs: options.for }),
    ...(everyMs === undefined ? {} : { everyMs }),
    ...(options.reportOn === undefined ? {} : { reportOn: options.reportOn }),
    onReport: (earlier) => writeReport(judge.judge(earlier), numberFiles(chosen, ++earlierReports)),
    ...(telemetry === undefined
      ? {}
      : { onCounts: (counted, counts) => publish(telemetry, counted, counts, siteChoices) }),
    onAttached: (info, standingMs) => write(2, announce(info, standingMs, options)),
  });
  const report = judge.conclude(audited);
  writeReport(report, chosen);
  judge.throwFailure();
  return decideExitCode(report, options);
}

/** The sites of a process are chosen anew at each count, and those that were chosen go first. */
function publish(
  telemetry: Telemetry,
  counted: CountedProcess,
  counts: OpenCounts | undefined,
  choices: Map<number, SiteChoice>,
): void {
  if (counts === undefined) {
    choices.delete(counted.pid);
    telemetry.forget(counted.pid);
    return;
  }
  const choice = choices.get(counted.pid) ?? new SiteChoice();
  choices.set(counted.pid, choice);
  const sites = counts.sites.map(({ type, stack, count }) => ({ type, site: toLabel(spellSiteOf(stack)), count }));
  telemetry.publish(counted.pid, describeRecording(counted, counts, choice.choose(sites)));
}

/** All processes that are meant, but for this one. */
function findOthers(wanted: string): readonly ProcessInfo[] {
  const found = findProcesses(wanted);
  const others = found.filter(({ processId }) => processId !== process.pid);
  return others.length === 0 ? found : others;
}

function announce({ processId, name }: ProcessInfo, standingMs: number, options: AttachCliOptions): string {
  const until = options.for === undefined ? 'until it ends or Ctrl-C' : `for ${spellDuration(options.for)}`;
  return `${toolName}: attached to ${escapeText(name, true)} (${processId}), which stood still for ${Math.ceil(standingMs)} ms; recording ${until}\n`;
}

function chooseInterval({ for: forMs }: AttachCliOptions): number {
  return forMs === undefined ? EVERY_MS : Math.max(SHORTEST_EVERY_MS, forMs / INTERVALS);
}

function parseEventName(value: string): string {
  if (value !== '' && value.length <= 200) return value;
  throw new InvalidArgumentError('The name of an event is needed.');
}
