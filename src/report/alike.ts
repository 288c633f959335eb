import { canonicalText, commonObject, compareFindings, groupBy } from '../analyze/grouping.ts';
import type { Finding, HandleObject } from '../model.ts';
import { stacksOf } from './finding-view.ts';
import { spellVisible, type StackView } from './stacks/stack-view.ts';

/** Findings that read the same. */
export interface Alike {
  /** The first of them, with the handles of all. */
  readonly finding: Finding;
  /** How many more there are. */
  readonly others: number;
}

/** How many handles a finding lists, at most. */
const listedHandles = 10;

/**
 * Joins findings of which a reader would see the same: rule, level, sentence and every row of the stacks. They differ
 * in frames that the view leaves out.
 *
 * They are different findings all the same, with fingerprints of their own. Two leaks in a program without symbols may
 * come from two mistakes; only this view cannot show the difference.
 */
export function joinAlike(findings: readonly Finding[], view: StackView): readonly Alike[] {
  // A number for each row: the texts of thousands of deep stacks would fill the memory.
  const numbers = new Map<string, number>();
  const numberOf = (row: string): number => {
    const known = numbers.get(row) ?? numbers.size;
    if (known === numbers.size) numbers.set(row, known);
    return known;
  };
  const headed = findings.map((finding) => {
    const { level, status, rule, message, object } = finding;
    return { finding, heading: JSON.stringify([level, status, rule, message, object.type]) };
  });
  const counts = new Map<string, number>();
  for (const { heading } of headed) counts.set(heading, (counts.get(heading) ?? 0) + 1);
  const groups = groupBy(headed, ({ finding, heading }) => {
    // Most sentences name a place, and no other finding has the same: only the stacks of the others are looked at.
    if (counts.get(heading) === 1) return heading;
    const stacks = stacksOf(finding).map(([label, stack]) => [label, spellVisible(stack, view).map(numberOf)]);
    return `${heading}${JSON.stringify(stacks)}`;
  });
  return [...groups.values()]
    .map((group) => ({ finding: joinFindings(group.map(({ finding }) => finding)), others: group.length - 1 }))
    .sort((a, b) => compareFindings(a.finding, b.finding));
}

function joinFindings(group: readonly Finding[]): Finding {
  const [first] = group;
  if (group.length === 1) return first!;
  const handles = group
    .flatMap((finding) => finding.handles.map((value, index) => ({ value, object: objectOf(finding, index) })))
    .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
    .slice(0, listedHandles);
  const object = commonObject(group.map((finding) => finding.object));
  const { objects: _objects, ...shared } = first!;
  const areAlike = handles.every((handle) => canonicalText(handle.object) === canonicalText(object));
  return {
    ...shared,
    count: group.reduce((sum, { count }) => sum + count, 0),
    object,
    handles: handles.map(({ value }) => value),
    ...(areAlike ? {} : { objects: handles.map((handle) => handle.object) }),
  };
}

function objectOf({ object, objects }: Finding, index: number): HandleObject {
  return objects?.[index] ?? object;
}
