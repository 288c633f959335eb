import { type CountSample, judgeTrend, SAMPLES_MIN, timeToReachMs, type Trend } from './trend.ts';

/** The counts at one moment: handles by type, and sums. */
export interface GrowthSample {
  readonly timeMs: number;
  readonly handleCount: number;
  readonly types: ReadonlyMap<string, number>;
  readonly gui?: { readonly gdi: number; readonly user: number };
}

/** How one of the counts changed. */
interface CountGrowth extends Trend {
  /** `handles` for all of them, a kernel type, `GDI objects` or `USER objects`. */
  readonly what: string;
  readonly first: number;
  readonly last: number;
}

/** When a count reaches a limit of Windows if it keeps growing. */
interface LimitForecast {
  readonly what: 'handles' | 'GDI objects' | 'USER objects';
  readonly count: number;
  readonly limit: number;
  /** From the last sample. */
  readonly timeToLimitMs: number;
}

/** The verdict on a watched process. */
export interface GrowthVerdict {
  readonly sampleCount: number;
  /** From the first sample to the last. */
  readonly durationMs: number;
  /** Samples are too few to tell steady growth from chance. */
  readonly isTooShort: boolean;
  /** Sums first, then types by name. */
  readonly counts: readonly CountGrowth[];
  /** The {@link counts} that grow steadily, without the sum of all handles; the fastest first. */
  readonly growing: readonly CountGrowth[];
  /** For the counts that grow steadily. */
  readonly limits: readonly LimitForecast[];
}

/**
 * Handles that one process may have, 2^24: https://learn.microsoft.com/windows/win32/sysinfo/kernel-objects. GDI and
 * USER objects: https://learn.microsoft.com/windows/win32/sysinfo/gdi-objects and …/user-objects, unless
 * GDIProcessHandleQuota and USERProcessHandleQuota in the registry say otherwise.
 */
const LIMITS = { handles: 16_777_216, 'GDI objects': 10_000, 'USER objects': 10_000 } as const;

/** Judges all counts. A type that a sample lacks counts as 0 in it. */
export function judgeGrowth(samples: readonly GrowthSample[]): GrowthVerdict {
  const types = [...new Set(samples.flatMap((sample) => [...sample.types.keys()]))].sort();
  const hasGui = samples.length > 0 && samples.every(({ gui }) => gui !== undefined);
  const counts = [
    measure('handles', samples, ({ handleCount }) => handleCount),
    ...(hasGui
      ? [
          measure('GDI objects', samples, ({ gui }) => gui!.gdi),
          measure('USER objects', samples, ({ gui }) => gui!.user),
        ]
      : []),
    ...types.map((type) => measure(type, samples, (sample) => sample.types.get(type) ?? 0)),
  ];
  const growing = counts
    .filter(({ what, isSteady }) => isSteady && what !== 'handles')
    .sort((a, b) => b.slopePerSecond - a.slopePerSecond);
  const limits = counts.flatMap((count): readonly LimitForecast[] => {
    const { what, last } = count;
    if (!isLimited(what)) return [];
    const slopePerSecond = steadySlope(count, growing);
    // The registry may allow more: a process that rests beyond the usual limit approaches none.
    const timeToLimitMs = slopePerSecond > 0 ? timeToReachMs(last, LIMITS[what], slopePerSecond) : undefined;
    return timeToLimitMs === undefined ? [] : [{ what, count: last, limit: LIMITS[what], timeToLimitMs }];
  });
  return {
    sampleCount: samples.length,
    durationMs: samples.length === 0 ? 0 : samples.at(-1)!.timeMs - samples[0]!.timeMs,
    isTooShort: samples.length < SAMPLES_MIN,
    counts,
    growing,
    limits,
  };
}

function measure(what: string, samples: readonly GrowthSample[], count: (sample: GrowthSample) => number): CountGrowth {
  const series: readonly CountSample[] = samples.map((sample) => ({ timeMs: sample.timeMs, count: count(sample) }));
  return { what, first: series[0]?.count ?? 0, last: series.at(-1)?.count ?? 0, ...judgeTrend(series) };
}

/**
 * How fast a count approaches its limit. The sum of all handles may rise and fall with some types, and still approach
 * its limit by those that only grow.
 */
function steadySlope({ what, isSteady, slopePerSecond }: CountGrowth, growing: readonly CountGrowth[]): number {
  if (isSteady) return slopePerSecond;
  if (what !== 'handles') return 0;
  return growing.filter((each) => !isLimited(each.what)).reduce((sum, each) => sum + each.slopePerSecond, 0);
}

function isLimited(what: string): what is keyof typeof LIMITS {
  return Object.hasOwn(LIMITS, what);
}
