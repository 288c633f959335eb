/** `1,234,567`, in every locale. */
export function spellNumber(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+(?!\d))(?<!\.\d*)/g, ',');
}

/** `1 call`, `2 calls`; `1 call was`, `2 calls were`. */
export function plural(count: number, one: string, several: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** `0x1a4`; a negative value as the unsigned one with the same 64 bits. */
export function hexadecimal(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`;
}
