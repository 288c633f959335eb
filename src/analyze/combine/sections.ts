import type { Finding, SectionPart, Sections } from '../../model.ts';

/** Parts of a sentence; the report's data have more. */
const PARTS_IN_SENTENCE = 3;

/**
 * A sentence that says in which labelled sections the calls of a finding were made: `In test Cache.evicts.` Empty where
 * none is known.
 *
 * @param count handles of a leak; absent for a misuse, whose calls stand once for each pair of stacks
 */
function spellSections({ opened, called, leftIn }: Sections, count?: number): string {
  const left = leftIn === undefined || leftIn === 1 ? '' : ` Left open at the ends of ${leftIn} tests.`;
  if (opened === undefined && called === undefined) return left;
  if (called === undefined) return ` Opened in ${spellParts(opened!, count)}.${left}`;
  if (opened === undefined) return ` The call was made in ${spellParts(called)}.${left}`;
  if (JSON.stringify(opened) === JSON.stringify(called)) return ` Opened, and the call made, in ${spellParts(opened)}.`;
  return ` Opened in ${spellParts(opened)}; the call was made in ${spellParts(called)}.`;
}

/** The finding with its sections, which its message says, too. */
export function withSections(finding: Finding, sections: Sections | undefined, count?: number): Finding {
  if (sections === undefined) return finding;
  return { ...finding, message: `${finding.message}${spellSections(sections, count)}`, sections };
}

/** The finding with other sections than it has. */
export function replaceSections(finding: Finding, sections: Sections | undefined, count?: number): Finding {
  if (finding.sections === undefined || sections === undefined) return finding;
  const end = spellSections(finding.sections, finding.rule === 'leak' ? finding.count : undefined);
  const message = finding.message.slice(0, finding.message.length - end.length);
  return withSections({ ...finding, message }, sections, count);
}

/** Adds up the sections of several entries that are one finding; undefined where none is known. */
export function combineSections(all: readonly (Sections | undefined)[]): Sections | undefined {
  const known = all.filter((each) => each !== undefined);
  const opened = combineParts(known.flatMap((each) => each.opened ?? []));
  const called = combineParts(known.flatMap((each) => each.called ?? []));
  const leftIn = known.reduce((sum, each) => sum + (each.leftIn ?? 0), 0);
  if (opened.length + called.length + leftIn === 0) return undefined;
  return {
    ...(opened.length === 0 ? {} : { opened }),
    ...(called.length === 0 ? {} : { called }),
    ...(leftIn === 0 ? {} : { leftIn }),
  };
}

function combineParts(all: readonly SectionPart[]): readonly SectionPart[] {
  const combined = new Map<string, SectionPart>();
  for (const part of all) {
    const key = JSON.stringify(part.names);
    const known = combined.get(key);
    const isRest = part.names.length === 0;
    combined.set(key, {
      ...part,
      ...(isRest ? { of: (part.of ?? 0) + (known?.of ?? 0) } : {}),
      count: part.count + (known?.count ?? 0),
    });
  }
  // The part without names stands for all that is not listed: it comes last.
  return [...combined.values()].sort(
    (a, b) => Number(a.names.length === 0) - Number(b.names.length === 0) || b.count - a.count,
  );
}

/** `test A`; `tests A (2) and B (1)`; `one of the tests A, B`; `tests A (5), B (3), C (2) and 9 more (12)` */
function spellParts(parts: readonly SectionPart[], count?: number): string {
  const [first, ...rest] = parts;
  if (first === undefined) return '';
  if (rest.length === 0 && first.names.length > 0) {
    const share = count === undefined || first.count >= count ? '' : ` (${first.count} of ${count} handles)`;
    return `${first.names.length === 1 && first.of === undefined ? 'test ' : ''}${spellNames(first)}${share}`;
  }
  const shown = parts.slice(0, PARTS_IN_SENTENCE).filter(({ names }) => names.length > 0);
  const others = parts.slice(shown.length);
  const otherCount = others.reduce((sum, part) => sum + (part.names.length === 0 ? (part.of ?? 1) : 1), 0);
  const texts = [
    ...shown.map((part) => `${spellNames(part)} (${part.count})`),
    ...(others.length === 0 ? [] : [`${otherCount} more (${others.reduce((sum, part) => sum + part.count, 0)})`]),
  ];
  return `tests ${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}

function spellNames({ names, of }: SectionPart): string {
  const quoted = names.map((name) => `\`${name.replaceAll('\x60', '\x27')}\``);
  if (quoted.length === 1 && of === undefined) return quoted[0]!;
  const more = of === undefined ? '' : ` and ${of - names.length} more`;
  return `one of ${quoted.join(', ')}${more}, all open at the time`;
}
