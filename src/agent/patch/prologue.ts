import { decodeInstruction } from './instruction.ts';

/** Size of the jump at a function's beginning. */
export const JUMP_SIZE_BYTES = 5;

/** The largest part of a function's beginning that is read or moved. */
export const PROLOGUE_SIZE_BYTES_MAX = 24;

/** The part of a function that must be moved when a jump replaces its beginning. */
export interface MovedPrologue {
  /** How many of its first bytes to copy. */
  readonly sizeBytes: number;
  /** The address at which it continues after them. */
  readonly continuesAt: bigint;
  /** The 32-bit distances in the copied bytes that lead to an operand. */
  readonly distances: readonly MovedDistance[];
}

interface MovedDistance {
  /** Offset of the distance, ... */
  readonly at: number;
  /** ... and of the end of its instruction, from which it counts. */
  readonly end: number;
}

/**
 * Finds the part of a function to move, so that a jump fits at its beginning; undefined when the function must stay as
 * it is.
 *
 * It may end early with a jump to another function of its module, a tail call. Under Wine 10 `WSASendTo` is nothing but
 * one. A jump out of the module is a hook by other software.
 */
export function movePrologue(
  code: Uint8Array,
  address: bigint,
  module: { readonly base: bigint; readonly end: bigint },
): MovedPrologue | undefined {
  const distances: MovedDistance[] = [];
  let size = 0;
  while (size < JUMP_SIZE_BYTES) {
    const instruction = decodeInstruction(code.subarray(size));
    if (instruction === undefined) return undefined;
    const end = size + instruction.sizeBytes;
    if (instruction.kind === 'jump') {
      const target = address + BigInt(end + instruction.distance);
      const isOwn = target >= module.base && target < module.end;
      // A target among the bytes that are replaced would be in the midst of the new jump.
      const isReplaced = target >= address && target < address + BigInt(JUMP_SIZE_BYTES);
      return isOwn && !isReplaced && end >= JUMP_SIZE_BYTES
        ? { sizeBytes: size, continuesAt: target, distances }
        : undefined;
    }
    if (instruction.distanceAt !== undefined) distances.push({ at: size + instruction.distanceAt, end });
    size = end;
  }
  return { sizeBytes: size, continuesAt: address + BigInt(size), distances };
}

/** Whether the moved part holds a 64-bit address or number: in the file of a DLL it may differ from that in memory. */
export function holdsAddress(code: Uint8Array, { sizeBytes }: MovedPrologue): boolean {
  for (let at = 0; at < sizeBytes; ) {
    const instruction = decodeInstruction(code.subarray(at));
    if (instruction === undefined || instruction.sizeBytes === MOV_IMM64_SIZE_BYTES) return true;
    at += instruction.sizeBytes;
  }
  return false;
}

/** No other instruction that is moved is so long with a part that may be an address, but some are as long. */
const MOV_IMM64_SIZE_BYTES = 10;

/**
 * Copies the part of a function that is moved.
 *
 * @param from the function's address
 * @param to the copy's address
 * @throws Error when an operand is out of reach of the copy
 */
export function copyPrologue(
  code: Uint8Array,
  { sizeBytes, distances }: MovedPrologue,
  from: bigint,
  to: bigint,
): Uint8Array {
  const copy = new Uint8Array(code.subarray(0, sizeBytes)); // a slice of a Buffer shares its memory
  const view = new DataView(copy.buffer);
  for (const { at } of distances) {
    const distance = BigInt(view.getInt32(at, true)) + from - to;
    if (distance !== BigInt.asIntN(32, distance))
      throw new Error(`an operand is out of reach of moved code: ${distance} bytes`);
    view.setInt32(at, Number(distance), true);
  }
  return copy;
}
