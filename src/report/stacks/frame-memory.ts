import type { Frame } from '../../model.ts';

/** Many programs have fewer distinct frames in their findings; a memory that is full begins again. */
const framesMax = 1 << 15;

/**
 * The function with a memory. The symbolizer gives all stacks the same frame for an address, so that most frames of a
 * large report have been seen before.
 */
export function rememberFrames<Result>(compute: (frame: Frame) => Result): (frame: Frame) => Result {
  const known = new Map<Frame, Result>();
  return (frame) => {
    let result = known.get(frame);
    if (result === undefined) {
      result = compute(frame);
      if (known.size >= framesMax) known.clear();
      known.set(frame, result);
    }
    return result;
  };
}
