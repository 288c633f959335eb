/** `1,234,567`, in every locale. */
export function spellNumber(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+(?!\d))(?<!\.\d*)/g, ',');
}

/** `+1,234`, `-5`, `0`. */
export function spellChange(change: number): string {
  return change > 0 ? `+${spellNumber(change)}` : spellNumber(change);
}
