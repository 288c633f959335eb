import { type CountSample, judgeTrend, SAMPLES_MIN, timeToReachMs, type Trend } from './trend.ts';

/** What was counted at one moment: handles by type, and sums. */
export interface GrowthSample {
  readonly timeMs: number;
  readonly handleCount: number;
  readonly types: ReadonlyMap<string, number>;
  readonly gui?: { readonly gdi: number; readonly user: number };
}

/** How one of the counts moved. */
interface CountGrowth extends Trend {
  /** `handles` for all of them, a kernel type, `GDI objects` or `USER objects`. */
  readonly what: string;
  readonly first: number;
  readonly last: number;
}

/** When a limit of Windows is reached, if it goes on like this. */
interface LimitForecast {
  readonly what: 'handles' | 'GDI objects' | 'USER objects';
  readonly count: number;
  readonly limit: number;
  /** From the last sample. */
  readonly timeToLimitMs: number;
}

/** What can be said of a process after watching it. */
export interface GrowthVerdict {
  readonly sampleCount: number;
  /** From the first sample to the last. */
  readonly durationMs: number;
  /** Samples are too few to tell steady growth from chance. */
  readonly isTooShort: boolean;
  /** Sums first, then types by name. */
  readonly counts: readonly CountGrowth[];
  /** Those of {@link counts} that grow steadily, but for the sum of all handles; the fastest first. */
  readonly growing: readonly CountGrowth[];
  /** Of what grows steadily. */
  readonly limits: readonly LimitForecast[];
}

/**
 * Handles that one process may have, 2^24: https://learn.microsoft.com/windows/win32/sysinfo/kernel-objects. GDI and
 * USER objects: https://learn.microsoft.com/windows/win32/sysinfo/gdi-objects and …/user-objects, as long as nobody has
 * changed GDIProcessHandleQuota and USERProcessHandleQuota in the registry.
 */
const LIMITS = { handles: 16_777_216, 'GDI objects': 10_000, 'USER objects': 10_000 } as const;

/** Judges all that was counted. Types that were not there in a sample were there zero times. */
export function judgeGrowth(samples: readonly GrowthSample[]): GrowthVerdict {
  const types = [...new Set(samples.flatMap((sample) => [...sample.types.keys()]))].sort();
  const hasGui = samples.length > 0 && samples.every(({ gui }) => gui !== undefined);
  const counts = [
    judge('handles', samples, ({ handleCount }) => handleCount),
    ...(hasGui
      ? [judge('GDI objects', samples, ({ gui }) => gui!.gdi), judge('USER objects', samples, ({ gui }) => gui!.user)]
      : []),
    ...types.map((type) => judge(type, samples, (sample) => sample.types.get(type) ?? 0)),
  ];
  const growing = counts
    .filter(({ what, isSteady }) => isSteady && what !== 'handles')
    .sort((a, b) => b.slopePerSecond - a.slopePerSecond);
  const limits = counts.flatMap((count): readonly LimitForecast[] => {
    const { what, last } = count;
    if (!isLimited(what)) return [];
    const timeToLimitMs = timeToReachMs(last, LIMITS[what], steadySlope(count, growing));
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

function judge(what: string, samples: readonly GrowthSample[], count: (sample: GrowthSample) => number): CountGrowth {
  const series: readonly CountSample[] = samples.map((sample) => ({ timeMs: sample.timeMs, count: count(sample) }));
  return { what, first: series[0]?.count ?? 0, last: series.at(-1)?.count ?? 0, ...judgeTrend(series) };
}

/** The sum of all handles may rise and fall with types that do so, and yet be on its way by those that only grow. */
function steadySlope({ what, isSteady, slopePerSecond }: CountGrowth, growing: readonly CountGrowth[]): number {
  if (isSteady) return slopePerSecond;
  if (what !== 'handles') return 0;
  return growing.filter((each) => !isLimited(each.what)).reduce((sum, each) => sum + each.slopePerSecond, 0);
}

function isLimited(what: string): what is keyof typeof LIMITS {
  return Object.hasOwn(LIMITS, what);
}
