/** `850 ms`, `12.5 s`, `41 s`, `3 min 20 s`, `5 h 10 min`, `12 d 4 h`, `3 years`. */
export function spellDuration(durationMs: number): string {
  const seconds = durationMs / 1000;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (seconds < 59.95) return `${Number(seconds.toFixed(1))} s`;
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
