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

/** `850 ms`, `12.5 s`, `3 min 20 s`, `5 h 10 min`, `12 d 4 h`, `3 years`. */
export function spellDuration(durationMs: number): string {
  const seconds = durationMs / 1000;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return spellPair(whole, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return spellPair(minutes, 60, 'h', 'min');
  const hours = Math.round(seconds / 3600);
  if (hours < 730 * 24) return spellPair(hours, 24, 'd', 'h');
  const years = hours / 24 / 365.25;
  return years < 1000 ? `${Math.round(years)} years` : 'more than 1,000 years';
}

function spellPair(count: number, base: number, large: string, small: string): string {
  const rest = count % base;
  return `${Math.floor(count / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}
