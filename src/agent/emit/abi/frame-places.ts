import { at, type Memory } from '../../asm/operands.ts';
import { rsp } from '../../asm/registers.ts';

export type FramePlaces<Names extends readonly string[]> = { readonly [Name in Names[number]]: Memory };

/**
 * Names 64-bit places in a function's frame, one after the other from an offset on.
 *
 * @param offsetBytes from `rsp` inside the function
 */
export function framePlaces<const Names extends readonly string[]>(
  offsetBytes: number,
  ...names: Names
): FramePlaces<Names> {
  return Object.fromEntries(names.map((name, index) => [name, at(rsp, offsetBytes + index * 8)])) as FramePlaces<Names>;
}
