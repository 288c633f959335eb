/**
 * The last index whose value is at most `limit`, or -1 where there is none.
 *
 * @param count how many values there are
 * @param valueAt the value at an index; values ascend, and equal ones may follow each other
 */
export function lastAtOrBelow<Value extends number | bigint>(
  count: number,
  valueAt: (index: number) => Value,
  limit: Value,
): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueAt(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
