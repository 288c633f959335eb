/** Names that differ in more than this part of their letters are no slips of the pen. */
const farthest = 0.5;

/** The name that a person may have meant by a word; undefined when none is near. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of names) {
    // A distance is no less than the difference of the lengths, and a word may be of any length.
    if (Math.abs(name.length - word.length) > name.length * farthest) continue;
    const distance = countEdits(word.toLowerCase(), name.toLowerCase());
    if (distance < least && distance <= name.length * farthest) [nearest, least] = [name, distance];
  }
  return nearest;
}

/** Letters to insert, to leave out or to replace, and neighbours to swap: the distance of Damerau and Levenshtein. */
function countEdits(from: string, to: string): number {
  let earlier: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const cost = from[i - 1] === to[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      row.push(
        Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost, ...(swapped ? [earlier[j - 2]! + 1] : [])),
      );
    }
    [earlier, previous] = [previous, row];
  }
  return previous[to.length]!;
}
