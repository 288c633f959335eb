import { spellNumber } from '../report/numbers.ts';

/** `+1,234`, `-5`, `0`. */
export function spellChange(change: number): string {
  return change > 0 ? `+${spellNumber(change)}` : spellNumber(change);
}
