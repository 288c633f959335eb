import { setTimeout as sleep } from 'node:timers/promises';

import { type Command, Option } from 'commander';

import { type GrowthVerdict, judgeGrowth } from '../../analyze/growth/growth.ts';
import { KeptSamples } from '../../analyze/growth/kept-samples.ts';
import { escapeJson, escapeText } from '../../text/escape.ts';
import { createTheme } from '../../report/theme.ts';
import { describeTable } from '../../telemetry/counts.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { findProcess } from '../../process/processes.ts';
import { type Sample, Sampler } from '../sampler.ts';
import { toolName } from '../../version.ts';
import { parseDuration } from '../duration.ts';
import { exitCodes } from '../exit-codes.ts';
import { addTelemetryOptions, openAskedTelemetry, type TelemetryCliOptions } from '../export/telemetry-options.ts';
import { addExamples } from '../help/examples.ts';
import { onInterruption } from '../interruptions.ts';
import { describeOutput, write } from '../screen/terminal.ts';
import { drawLine, drawScreen, drawVerdict, type WatchEnd, type WatchTarget } from '../watch-view.ts';

interface WatchOptions extends TelemetryCliOptions {
  readonly interval: number;
  readonly for?: number;
  readonly json?: true;
  readonly ndjson?: true;
  readonly failOnGrowth?: true;
}

/** How soon the end of the target and Ctrl-C are noticed. */
const NOTICE_MS = 200;
const SHORTEST_INTERVAL_MS = 20;
/** Samples kept in memory: see {@link KeptSamples}. */
const SAMPLES_KEPT = 4096;

/** `unclosed watch`: counts the handles of a process over time, and judges whether they grow steadily. */
export function addWatchCommand(program: Command): void {
  const command = program
    .command('watch')
    .summary('count the handles of a process again and again, and report what grows steadily')
    .description(
      'Counts the handles of a process by type, again and again, until the time is over, the process ends or you press Ctrl-C. Then it reports which ' +
        'types grow steadily (not in a single jump, not up and down, not by chance), and when the process reaches a limit of Windows at that rate. GDI ' +
        `and USER objects are counted, too, where Windows gives their numbers. The process is not changed. To see where it opens handles, use \`${toolName} run\`.`,
    )
    .argument('<target>', 'a process id, or a program’s name')
    .option(
      '--interval <duration>',
      'time between two counts, such as 500ms, 1s, 10m or 2h',
      (text: string) => parseDuration(text, SHORTEST_INTERVAL_MS),
      1000,
    )
    .option('--for <duration>', 'how long to watch; by default until the process ends or Ctrl-C', (text: string) =>
      parseDuration(text, 1),
    )
    .addOption(
      new Option('--json', 'print all counts and the verdict as one JSON document, at the end').conflicts('ndjson'),
    )
    .addOption(new Option('--ndjson', 'print a line of JSON for each count, and one for the verdict').conflicts('json'))
    .option('--fail-on-growth', 'exit with 1 if anything grows steadily')
    .action(async (target: string, options: WatchOptions) => {
      process.exitCode = await watch(target, options);
    });
  addTelemetryOptions(command);
  addExamples(
    command,
    `${toolName} watch app.exe`,
    `${toolName} watch 4242 --interval 500ms --for 10m`,
    `${toolName} watch app.exe --for 1h --interval 10s --fail-on-growth --json > growth.json`,
  );
}

/** @returns the exit code */
async function watch(wanted: string, options: WatchOptions): Promise<number> {
  const found = findProcess(wanted);
  const target: WatchTarget = { pid: found.processId, image: found.name };
  const shown = chooseView(target, options);
  const interruption = new AbortController();
  using _hearing = onInterruption(() => interruption.abort());
  using sampler = new Sampler(found, `${escapeText(found.name)} (${found.processId})`);
  // On a screen that is drawn over, a line of stderr would be in the way.
  const troubles: string[] = [];
  const tell = (line: string): void => void write(2, line);
  const isScreen = !options.json && !options.ndjson && describeOutput(1).canRedraw;
  await using telemetry = await openAskedTelemetry(options, isScreen ? (line) => void troubles.push(line) : tell);
  const view = telemetry === undefined ? shown : publishing(shown, target, telemetry);
  const samples = new KeptSamples<Sample>(SAMPLES_KEPT);
  const end = await collect(sampler, samples, options, interruption.signal, view);
  const verdict = judgeGrowth(samples.all);
  if (end !== 'output closed') view.finish(samples.all, verdict, end, sampler.exitCode());
  troubles.forEach(tell);
  if (end === 'interrupted') return exitCodes.interrupted;
  return options.failOnGrowth && verdict.growing.length > 0 ? exitCodes.findings : exitCodes.clean;
}

/** Takes samples until one of the ends comes. Their times are fixed in advance, so that delays do not add up. */
async function collect(
  sampler: Sampler,
  samples: KeptSamples<Sample>,
  options: WatchOptions,
  interruption: AbortSignal,
  view: View,
): Promise<WatchEnd> {
  const startMs = performance.now();
  const endMs = options.for === undefined ? Number.POSITIVE_INFINITY : startMs + options.for;
  for (let nextMs = startMs; ; ) {
    const sample = sampler.take();
    if (sample === undefined) return 'the process ended';
    samples.add(sample);
    if (!view.show(samples.all)) return 'output closed';
    // After a count that took longer than the interval, the missed ones are skipped.
    nextMs += Math.max(1, Math.ceil((performance.now() - nextMs) / options.interval)) * options.interval;
    if (nextMs > endMs + 1) {
      const end = await wait(sampler, endMs, interruption);
      return end ?? 'time is over';
    }
    const end = await wait(sampler, nextMs, interruption);
    if (end !== undefined) return end;
  }
}

/** @returns the end that came before the time was over */
async function wait(sampler: Sampler, untilMs: number, interruption: AbortSignal): Promise<WatchEnd | undefined> {
  for (;;) {
    if (interruption.aborted) return 'interrupted';
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) return undefined;
    if (sampler.hasEnded()) return 'the process ended';
    await sleep(Math.min(leftMs, NOTICE_MS), undefined, { signal: interruption }).catch((error: unknown) => {
      if (!interruption.aborted) throw error;
    });
  }
}

/** How samples and the verdict are shown. */
interface View {
  /** Shows the last sample. @returns whether the output is still read */
  show(samples: readonly Sample[]): boolean;
  finish(samples: readonly Sample[], verdict: GrowthVerdict, end: WatchEnd, exitCode: number | undefined): void;
}

/** Gives each count to the collectors, too. */
function publishing(view: View, target: WatchTarget, telemetry: Telemetry): View {
  return {
    ...view,
    show(samples) {
      const { types, gui } = samples.at(-1)!;
      telemetry.publish(target.pid, describeTable(target, types, gui));
      return view.show(samples);
    },
  };
}

function chooseView(target: WatchTarget, options: WatchOptions): View {
  if (options.ndjson) return ndjsonView(target, options);
  if (options.json) return jsonView(target, options);
  return describeOutput(1).canRedraw ? screenView(target, options) : lineView(target);
}

/** Draws over what it drew before. */
function screenView(target: WatchTarget, options: WatchOptions): View {
  let drawnLines = 0;
  return {
    show(samples) {
      const { columns, colorLevel } = describeOutput(1);
      const text = drawScreen(target, samples, options.interval, createTheme({ columns, colorLevel }), columns);
      // CPL: to the start of that many lines above; ED: erase from there to the end of the screen.
      const back = drawnLines === 0 ? '' : `\x1b[${drawnLines}F\x1b[J`;
      drawnLines = text.split('\n').length - 1;
      return write(1, back + text);
    },
    finish(_, verdict, end, exitCode) {
      const { columns, colorLevel } = describeOutput(1);
      write(1, `\n${drawVerdict(target, verdict, end, exitCode, createTheme({ columns, colorLevel }), columns)}`);
    },
  };
}

function lineView(target: WatchTarget): View {
  return {
    show: (samples) => write(1, drawLine(samples)),
    finish(_, verdict, end, exitCode) {
      const { columns, colorLevel } = describeOutput(1);
      write(1, `\n${drawVerdict(target, verdict, end, exitCode, createTheme({ columns, colorLevel }), columns)}`);
    },
  };
}

function jsonView(target: WatchTarget, options: WatchOptions): View {
  return {
    show: () => true,
    finish(samples, verdict, end, exitCode) {
      const text = JSON.stringify(
        {
          ...headOf(target, options),
          samples: samples.map(sampleToJson),
          verdict: verdictToJson(verdict, end, exitCode),
        },
        undefined,
        2,
      );
      write(1, `${escapeJson(text)}\n`);
    },
  };
}

function ndjsonView(target: WatchTarget, options: WatchOptions): View {
  let isFirst = true;
  const print = (document: object): boolean => write(1, `${escapeJson(JSON.stringify(document))}\n`);
  return {
    show(samples) {
      if (isFirst) print(headOf(target, options));
      isFirst = false;
      return print(sampleToJson(samples.at(-1)!));
    },
    finish(_, verdict, end, exitCode) {
      print({ verdict: verdictToJson(verdict, end, exitCode) });
    },
  };
}

function headOf(target: WatchTarget, { interval, for: forMs }: WatchOptions): object {
  return { schemaVersion: 1, target, intervalMs: interval, forMs };
}

function sampleToJson({ timeMs, handleCount, types, gui }: Sample): object {
  const sorted = [...types].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    timeMs: Math.round(timeMs),
    handles: handleCount,
    gdiObjects: gui?.gdi,
    userObjects: gui?.user,
    types: Object.fromEntries(sorted),
  };
}

function verdictToJson(
  { sampleCount, durationMs, isTooShort, counts, growing, limits }: GrowthVerdict,
  end: WatchEnd,
  exitCode: number | undefined,
): object {
  return {
    end,
    exitCode,
    sampleCount,
    durationMs: Math.round(durationMs),
    isTooShort,
    growing: growing.map(({ what }) => what),
    counts: counts.map(({ what, first, last, slopePerSecond, isSteady, doubt }) => ({
      what,
      first,
      last,
      slopePerSecond,
      isSteady,
      doubt,
    })),
    limits,
  };
}
