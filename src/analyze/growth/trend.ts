/** A count at one time. */
export interface CountSample {
  /** Milliseconds since any moment; ascending. */
  readonly timeMs: number;
  readonly count: number;
}

/** How a count changes over time. */
export interface Trend {
  /** Theil and Sen's: the median of the slopes between all pairs of samples, which a few wild samples do not move. */
  readonly slopePerSecond: number;
  /** {@link slopePerSecond} times the time from the first sample to the last. */
  readonly growth: number;
  /** It grows; chance, a single jump or a rise that falls back does not count. */
  readonly isSteady: boolean;
  /** Why {@link isSteady} is false, for a person. */
  readonly doubt?: 'too few samples' | 'not growing' | 'not more than chance' | 'not all the time' | 'falls back';
}

/** Fewer samples that all ascend could be chance: see {@link CHANCE_Z}. */
export const SAMPLES_MIN = 8;
/** A longer series is thinned to this many samples: the slopes of all their pairs take milliseconds. */
const SAMPLES_MAX = 512;
/** One-sided; noise exceeds it once in 3,500 series. Eight ascending samples just do. */
const CHANCE_Z = 3.3;
/** Each quarter of the time must bring at least this part of an even share of the growth. */
const SHARE_MIN = 1 / 3;
/** A fall of more than this part of the growth means that what grew is given back. */
const FALL_MAX = 1 / 3;

/**
 * Judges whether a count grows steadily, which is what a leak does and a cache, a start-up or noise does not:
 *
 * 1. Mann and Kendall's test: more pairs of samples ascend than chance would explain.
 * 2. It grows all the time: the medians of the four quarters ascend, each by a third of an even share at least. One
 *    jump, or a start-up that levels off, does not.
 * 3. It keeps what it gained: no fall within it is more than a third of the growth. A sawtooth falls by all of it. A
 *    single wild sample does not matter: the falls are those of medians of three samples.
 *
 * A sawtooth looks like a leak until its first fall: watch for longer than the program keeps what it gives back.
 */
export function judgeTrend(series: readonly CountSample[]): Trend {
  const samples = thin(series);
  const slopePerSecond = theilSen(samples);
  const durationSeconds = samples.length < 2 ? 0 : (samples.at(-1)!.timeMs - samples[0]!.timeMs) / 1000;
  const growth = slopePerSecond * durationSeconds;
  const doubt = findDoubt(samples, growth);
  return { slopePerSecond, growth, isSteady: doubt === undefined, ...(doubt === undefined ? {} : { doubt }) };
}

/**
 * How long a growing count takes to reach a limit, in milliseconds: 0 when it has reached it, `undefined` when it never
 * will.
 */
export function timeToReachMs(count: number, limit: number, slopePerSecond: number): number | undefined {
  if (count >= limit) return 0;
  return slopePerSecond > 0 ? ((limit - count) / slopePerSecond) * 1000 : undefined;
}

function findDoubt(samples: readonly CountSample[], growth: number): Trend['doubt'] {
  if (samples.length < SAMPLES_MIN) return 'too few samples';
  const counts = samples.map(({ count }) => count);
  const medians = quarterMedians(counts);
  const share = (medians[3]! - medians[0]!) / 3;
  if (share <= 0) return 'not growing';
  if (mannKendallZ(counts) < CHANCE_Z) return 'not more than chance';
  if (growth <= 0 || medians.some((each, quarter) => quarter > 0 && each - medians[quarter - 1]! < share * SHARE_MIN))
    return 'not all the time';
  if (largestFall(counts) > growth * FALL_MAX) return 'falls back';
  return undefined;
}

/** Keeps the last sample and every n-th before it, so that a long series costs no more than a short one. */
function thin(series: readonly CountSample[]): readonly CountSample[] {
  const step = Math.ceil(series.length / SAMPLES_MAX);
  return step <= 1 ? series : series.filter((_, index) => (series.length - 1 - index) % step === 0);
}

function theilSen(samples: readonly CountSample[]): number {
  const slopes = new Float64Array((samples.length * (samples.length - 1)) / 2);
  let count = 0;
  for (let i = 1; i < samples.length; i++) {
    for (let j = 0; j < i; j++) {
      const timeMs = samples[i]!.timeMs - samples[j]!.timeMs;
      if (timeMs > 0) slopes[count++] = (samples[i]!.count - samples[j]!.count) / timeMs;
    }
  }
  return count === 0 ? 0 : median(slopes.subarray(0, count)) * 1000;
}

/** The test's standard score, corrected for ties. Kendall, Rank Correlation Methods; Hirsch et al. 1982. */
function mannKendallZ(counts: readonly number[]): number {
  let score = 0;
  for (let i = 1; i < counts.length; i++) {
    for (let j = 0; j < i; j++) score += Math.sign(counts[i]! - counts[j]!);
  }
  const spread = (size: number): number => size * (size - 1) * (2 * size + 5);
  const ties = new Map<number, number>();
  for (const count of counts) ties.set(count, (ties.get(count) ?? 0) + 1);
  let variance = spread(counts.length);
  for (const size of ties.values()) variance -= spread(size);
  return variance <= 0 ? 0 : (score - Math.sign(score)) / Math.sqrt(variance / 18);
}

function quarterMedians(counts: readonly number[]): readonly number[] {
  return [0, 1, 2, 3].map((quarter) => {
    const part = counts.slice(
      Math.floor((quarter * counts.length) / 4),
      Math.floor(((quarter + 1) * counts.length) / 4),
    );
    return median(Float64Array.from(part));
  });
}

/** The largest fall of the count from an earlier height. */
function largestFall(counts: readonly number[]): number {
  let highest = -Infinity;
  let fall = 0;
  for (let i = 1; i + 1 < counts.length; i++) {
    const count = median(Float64Array.of(counts[i - 1]!, counts[i]!, counts[i + 1]!));
    highest = Math.max(highest, count);
    fall = Math.max(fall, highest - count);
  }
  // The last sample is not smoothed: a fall may just have begun.
  return Math.max(fall, highest - counts.at(-1)!);
}

function median(numbers: Float64Array): number {
  const sorted = numbers.sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
