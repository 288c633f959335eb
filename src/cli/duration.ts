import { InvalidArgumentError } from 'commander';

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
/** The longest that a timer can be set to is 2^31 - 1 ms, 24.8 days. */
const LONGEST_MS = 24 * 24 * 3_600_000;

/**
 * Parses `500ms`, `1s`, `1.5s`, `10m` or `2h`, for commander.
 *
 * @returns milliseconds
 * @throws InvalidArgumentError for anything else, and for less than `shortestMs`
 */
export function parseDuration(text: string, shortestMs: number): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('A duration like 500ms, 1s, 10m or 2h is needed.');
  const durationMs = Number(match[1]) * UNITS_MS[match[2] as keyof typeof UNITS_MS];
  if (durationMs < shortestMs) throw new InvalidArgumentError(`At least ${shortestMs}ms is needed.`);
  if (durationMs > LONGEST_MS) throw new InvalidArgumentError('At most 576h is possible.');
  return durationMs;
}
