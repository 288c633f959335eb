/** `1,234,567`, in every locale. */
export function spellNumber(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+(?!\d))(?<!\.\d*)/g, ',');
}

/** `1 call`, `2 calls`; `1 call was`, `2 calls were`. */
export function plural(count: number, one: string, several: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
