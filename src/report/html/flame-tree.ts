import type { Finding, Stack } from '../../model.ts';
import { noStack, rowsOf } from '../stacks/stack-view.ts';
import type { Page } from './page.ts';

/** A function, or several that are shown as one, with all handles that were opened below it. */
export interface Flame {
  readonly name: string;
  /** Empty where it is called at several places. */
  readonly place: string;
  /** It belongs to the program, and not to the system or a runtime. */
  readonly own: boolean;
  readonly count: number;
  /** The finding below it with the most handles. */
  readonly finding: Finding;
  /** It stands for that finding itself. */
  readonly isLeaf: boolean;
  /** The widest first. */
  readonly below: readonly Flame[];
}

interface Growing extends Omit<Flame, 'below'> {
  place: string;
  count: number;
  readonly children: Map<string, Growing>;
}

/** Stacks deeper than that are shown without their middle, and so many frames of them are looked at. */
const rowsMax = 40;
const outermostRows = 12;
const framesMax = 100;

/**
 * The stacks of leaks as a tree: the outermost function above, the leaks below.
 *
 * @param leaks those with the most handles first
 */
export function growFlames(
  leaks: readonly Finding[],
  spellLeaf: (leak: Finding) => string,
  page: Page,
): readonly Flame[] {
  const roots = new Map<string, Growing>();
  for (const leak of leaks) {
    let level = roots;
    const path = [...pathOf(leak.stacks.opened ?? [], page), { name: spellLeaf(leak), place: '', own: true }];
    for (const [depth, { name, place, own }] of path.entries()) {
      const isLeaf = depth === path.length - 1;
      const key = isLeaf ? `leaf ${leak.fingerprint} ${leak.level}` : name;
      let flame = level.get(key);
      if (flame === undefined) {
        flame = { name, place, own, count: 0, finding: leak, isLeaf, children: new Map() };
        level.set(key, flame);
      }
      if (flame.place !== place)
        flame.place = withoutLine(flame.place) === withoutLine(place) ? withoutLine(place) : '';
      flame.count += leak.count;
      level = flame.children;
    }
  }
  return harvest(roots);
}

function harvest(level: ReadonlyMap<string, Growing>): readonly Flame[] {
  return [...level.values()]
    .map(({ children, ...flame }) => ({ ...flame, below: harvest(children) }))
    .sort((a, b) => b.count - a.count);
}

/** The rows that a person sees of a stack, the outermost first. */
function pathOf(stack: Stack, { view }: Page): readonly Pick<Flame, 'name' | 'place' | 'own'>[] {
  if (stack.length === 0) return [{ name: noStack, place: '', own: false }];
  const rows = rowsOf(stack.slice(0, framesMax), view)
    // Where there is nothing but the system, the rest of it says nothing here.
    .filter(({ identity }) => identity !== view.theme.signs.ellipsis)
    // The number of frames in a folded row differs between stacks that are the same to a reader.
    .map(({ name, place, own, identity = `${name} ${place}` }) =>
      own ? { name, place, own } : { name: identity.trimEnd(), place: '', own },
    )
    .reverse();
  if (rows.length <= rowsMax) return rows;
  const hidden = rows.length - rowsMax + 1;
  return [
    ...rows.slice(0, outermostRows),
    { name: `… ${hidden} more rows`, place: '', own: false },
    ...rows.slice(outermostRows + hidden),
  ];
}

function withoutLine(place: string): string {
  return place.replace(/:\d+(?: \(inlined\))?$/, '');
}
