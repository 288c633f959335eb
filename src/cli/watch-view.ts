import type { GrowthSample, GrowthVerdict } from '../analyze/growth/growth.ts';
import { judgeTrend, SAMPLES_MIN } from '../analyze/growth/trend.ts';
import { spellDuration } from '../text/duration.ts';
import { escapeText } from '../text/escape.ts';
import { cutEnd, padText, textWidth, wrapText } from '../report/text-width.ts';
import type { Theme } from '../report/theme.ts';
import { toolName } from '../version.ts';
import { spellNumber } from '../report/numbers.ts';
import { spellChange } from './numbers.ts';

/** The process that is watched. */
export interface WatchTarget {
  readonly pid: number;
  /** File name of its program, as the system tells it. */
  readonly image: string;
}

/** Why watching ended. */
export type WatchEnd = 'time is over' | 'interrupted' | 'the process ended' | 'output closed';

const CHART_WIDTH = 30;
/** Samples that the shown rate is made of. */
const RATE_SAMPLES = 20;
const ROWS_MAX = 14;
const WIDEST = 120;
const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** One count in all samples. */
interface Row {
  readonly what: string;
  readonly counts: readonly number[];
}

/** Draws the screen while watching: a row for each count, with its change, rate and chart. */
export function drawScreen(
  target: WatchTarget,
  samples: readonly GrowthSample[],
  intervalMs: number,
  theme: Theme,
  columns: number,
): string {
  const timesMs = samples.map(({ timeMs }) => timeMs);
  const rows = listRows(samples);
  const shown = rows.slice(0, ROWS_MAX);
  const nameWidth = Math.max(...shown.map(({ what }) => textWidth(what)));
  const cells = shown.map(({ what, counts }) => {
    const change = counts.at(-1)! - counts[0]!;
    return {
      what,
      counts,
      change,
      count: spellNumber(counts.at(-1)!),
      changeText: spellChange(change),
      rate: spellRate(rateOf(timesMs, counts)),
    };
  });
  const [countWidth, changeWidth, rateWidth] = [
    Math.max(5, ...cells.map(({ count }) => count.length)),
    Math.max(6, ...cells.map(({ changeText }) => changeText.length)),
    Math.max(4, ...cells.map(({ rate }) => rate.length)),
  ];
  const chartWidth = Math.max(0, Math.min(CHART_WIDTH, columns - nameWidth - countWidth - changeWidth - rateWidth - 9));
  const head = `${escapeText(target.image)} (${target.pid}), ${spellDuration(timesMs.at(-1) ?? 0)}, every ${spellDuration(intervalMs)}; Ctrl-C ends`;
  const titles = `${' '.repeat(nameWidth)}  ${'COUNT'.padStart(countWidth)}  ${'CHANGE'.padStart(changeWidth)}  ${'RATE'.padStart(rateWidth)}`;
  const lines = cells.map(({ what, counts, change, count, changeText, rate }) => {
    const text = `${padText(what, nameWidth)}  ${count.padStart(countWidth)}  ${changeText.padStart(changeWidth)}  ${rate.padStart(rateWidth)}`;
    const paint = change > 0 ? theme.level.warning : change < 0 ? theme.good : (plain: string) => plain;
    return cutOr(text, columns, theme, paint) + (chartWidth < 8 ? '' : `  ${theme.dim(drawChart(counts, chartWidth))}`);
  });
  const rest = rows.length - shown.length;
  return [
    theme.strong(cutEnd(head, columns - 1, theme.signs.ellipsis)),
    theme.dim(cutEnd(titles, columns - 1, theme.signs.ellipsis)),
    ...lines,
    ...(rest > 0 ? [theme.dim(`and ${rest} more types`)] : []),
    '',
  ].join('\n');
}

function cutOr(text: string, columns: number, theme: Theme, paint: (text: string) => string): string {
  return paint(cutEnd(text, columns - 1, theme.signs.ellipsis));
}

/**
 * Draws the line of one interval, for pipes and files: the sums, and the types whose counts differ from the first
 * sample.
 */
export function drawLine(samples: readonly GrowthSample[]): string {
  const timesMs = samples.map(({ timeMs }) => timeMs);
  const [all, ...others] = listRows(samples);
  const spell = ({ what, counts }: Row): string => {
    const change = counts.at(-1)! - counts[0]!;
    return `${what} ${spellNumber(counts.at(-1)!)}${change === 0 ? '' : ` (${spellChange(change)}, ${spellRate(rateOf(timesMs, counts))})`}`;
  };
  const moved = others.filter(({ counts }) => counts.at(-1) !== counts[0]);
  return `${spellDuration(timesMs.at(-1) ?? 0).padStart(8)}  ${[all!, ...moved].map(spell).join('  ')}\n`;
}

/** Handles first, GUI objects, then types, the most frequent now first. */
function listRows(samples: readonly GrowthSample[]): readonly Row[] {
  const types = [...new Set(samples.flatMap(({ types }) => [...types.keys()]))];
  const rows = types.map((type) => ({
    what: escapeText(type),
    counts: samples.map((sample) => sample.types.get(type) ?? 0),
  }));
  rows.sort((a, b) => b.counts.at(-1)! - a.counts.at(-1)! || (a.what < b.what ? -1 : 1));
  const hasGui = samples.every(({ gui }) => gui !== undefined);
  return [
    { what: 'handles', counts: samples.map(({ handleCount }) => handleCount) },
    ...(hasGui
      ? [
          { what: 'GDI objects', counts: samples.map(({ gui }) => gui!.gdi) },
          { what: 'USER objects', counts: samples.map(({ gui }) => gui!.user) },
        ]
      : []),
    ...rows,
  ];
}

function rateOf(timesMs: readonly number[], counts: readonly number[]): number {
  const start = Math.max(0, counts.length - RATE_SAMPLES);
  return judgeTrend(counts.slice(start).map((count, index) => ({ timeMs: timesMs[start + index]!, count })))
    .slopePerSecond;
}

/** Draws the last counts as bars between their lowest and their highest. A count that did not change is a flat line. */
export function drawChart(counts: readonly number[], width: number): string {
  const step = Math.max(1, Math.ceil(counts.length / width));
  const shown = counts.filter((_, index) => (counts.length - 1 - index) % step === 0);
  const lowest = Math.min(...shown);
  const range = Math.max(...shown) - lowest;
  return shown
    .map((count) => BARS[range === 0 ? 0 : Math.round(((count - lowest) / range) * (BARS.length - 1))])
    .join('');
}

/** `+12.3/s`, `-4/min`, `0`: in the unit that leaves a number worth reading. */
export function spellRate(perSecond: number): string {
  const size = Math.abs(perSecond);
  if (size < 1 / 3_600_000) return '0';
  const [rate, unit] =
    size >= 1 ? [perSecond, 's'] : size * 60 >= 1 ? [perSecond * 60, 'min'] : [perSecond * 3600, 'h'];
  const digits = Math.abs(rate) < 99.95 ? rate.toFixed(1).replace(/\.0$/, '') : spellNumber(Math.round(rate));
  return `${rate > 0 ? '+' : ''}${digits}/${unit}`;
}

/** The verdict for a person: what grows steadily, where that leads, what only moved, and how to find the call sites. */
export function drawVerdict(
  target: WatchTarget,
  verdict: GrowthVerdict,
  end: WatchEnd,
  exitCode: number | undefined,
  theme: Theme,
  columns: number,
): string {
  const width = Math.min(columns - 1, WIDEST);
  const { growing, counts, limits, sampleCount, durationMs } = verdict;
  const ended =
    end === 'the process ended' ? `${end}${exitCode === undefined ? '' : ` with exit code ${exitCode}`}` : end;
  const basis = `${spellNumber(sampleCount)} ${sampleCount === 1 ? 'sample' : 'samples'} in ${spellDuration(durationMs)}; ${ended}`;
  const moved = counts.filter(
    ({ what, first, last, isSteady, doubt }) =>
      what !== 'handles' && !isSteady && (first !== last || doubt === 'falls back'),
  );
  const lines = [theme.dim(`${escapeText(target.image)} (${target.pid}): ${basis}.`)];
  for (const { what, first, last, slopePerSecond } of growing) {
    lines.push(
      theme.level.warning(
        `${theme.signs.bad} ${escapeText(what)} ${isPlural(what) ? 'grow' : 'grows'} steadily, by ${spellRate(slopePerSecond)}: ${spellNumber(first)} ${theme.signs.arrow} ${spellNumber(last)}.`,
      ),
    );
  }
  for (const { what, limit, timeToLimitMs } of limits) {
    lines.push(
      `  At this rate the process has ${spellNumber(limit)} ${what}, the most that Windows allows, in ${spellDuration(timeToLimitMs)}.`,
    );
  }
  if (growing.length > 0) {
    lines.push(`  Which call sites open them: ${toolName} run -- ${escapeText(target.image)} …`);
  } else if (verdict.isTooShort) {
    lines.push(
      theme.level.warning(
        `? Too few samples for a verdict: ${SAMPLES_MIN} are needed. Try a longer --for or a shorter --interval.`,
      ),
    );
  } else {
    lines.push(theme.good(`${theme.signs.good} Nothing grows steadily.`));
  }
  if (moved.length > 0) {
    const spelled = moved.map(
      ({ what, first, last, doubt }) =>
        `${escapeText(what)} ${spellNumber(first)} ${theme.signs.arrow} ${spellNumber(last)} (${doubt})`,
    );
    lines.push(...wrapText(`Moved otherwise: ${spelled.join(', ')}.`, width - 2).map((line) => theme.dim(`  ${line}`)));
  }
  return `${lines.join('\n')}\n`;
}

function isPlural(what: string): boolean {
  return what.endsWith('objects');
}
