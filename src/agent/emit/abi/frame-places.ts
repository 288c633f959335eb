import { at, type Memory } from '../../asm/operands.ts';
import { rsp } from '../../asm/registers.ts';
import type { FrameShape } from './framed-function.ts';

export type FramePlaces<Names extends readonly string[]> = { readonly [Name in Names[number]]: Memory };

/**
 * Names 64-bit places in a function's frame, one after the other from an offset on.
 *
 * @param offsetBytes from `rsp` inside the function
 * @throws Error when a place would lie outside the frame
 */
export function framePlaces<const Names extends readonly string[]>(
  frame: FrameShape,
  offsetBytes: number,
  ...names: Names
): FramePlaces<Names> {
  if (offsetBytes + names.length * 8 > frame.sizeBytes)
    throw new Error(
      `a frame of ${frame.sizeBytes} bytes has no room for ${names.length} places from ${offsetBytes} on`,
    );
  return Object.fromEntries(names.map((name, index) => [name, at(rsp, offsetBytes + index * 8)])) as FramePlaces<Names>;
}
