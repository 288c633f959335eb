import type { Stack } from '../../model.ts';

/** A stack, and that of the call by which another thread asked for its call: see {@link Frame.requested}. */
interface SplitStack {
  readonly own: Stack;
  readonly requested?: Stack;
}

const splits = new WeakMap<Stack, SplitStack>();

/** The parts of a stack; the same arrays for the same stack. */
export function splitRequested(stack: Stack): SplitStack {
  const known = splits.get(stack);
  if (known !== undefined) return known;
  const begin = stack.findIndex((frame) => frame.requested === true);
  const split = begin === -1 ? { own: stack } : { own: stack.slice(0, begin), requested: stack.slice(begin) };
  splits.set(stack, split);
  return split;
}
