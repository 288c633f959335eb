import type { Evidence, Misuse } from '../evidence-model.ts';
import { groupBy } from './grouping.ts';
import { normaliseStack } from './stacks.ts';

/** So many numbers in a row are no coincidence: handles are multiples of four. */
const RUN_LENGTH = 4;

const loopsOf: WeakMap<readonly Misuse[], ReadonlySet<Misuse>> = new WeakMap();

/**
 * The misuse belongs to a loop over descriptors: one place closes one number after the other, open or not, as programs
 * do before they start others. No number of a loop is meant as a handle, and none as a descriptor that was closed.
 */
export function isInDescriptorLoop(misuse: Misuse, { misuses }: Evidence): boolean {
  let looped = loopsOf.get(misuses);
  if (looped === undefined) {
    looped = findLoops(misuses);
    loopsOf.set(misuses, looped);
  }
  return looped.has(misuse);
}

function findLoops(misuses: readonly Misuse[]): ReadonlySet<Misuse> {
  const closes = misuses.filter(({ kind, offending }) => kind !== 'use' && offending.call === '_close');
  const places = groupBy(closes, ({ offending }) => normaliseStack(offending.stack).join('|'));
  return new Set([...places.values()].filter((group) => hasRun(group.flatMap(({ values }) => values))).flat());
}

function hasRun(values: readonly bigint[]): boolean {
  const known = new Set(values.filter((value) => value >= 0n));
  return [...known].some((value) =>
    Array.from({ length: RUN_LENGTH }, (_, at) => value + BigInt(at)).every((each) => known.has(each)),
  );
}
