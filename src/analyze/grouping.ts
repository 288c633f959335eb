import type { Finding, HandleObject, Sections, Stack } from '../model.ts';
import type { Evidence } from '../evidence-model.ts';
import { compareLevels, type Level, type Rule } from '../rules.ts';
import { fingerprint } from './fingerprint.ts';
import { combineSections, withSections } from './combine/sections.ts';
import { programFrames } from './stacks.ts';

/** How many handles a finding names. */
const namedHandles = 10;

/** The choices that decide the level of leaks. */
export interface AnalyzeOptions {
  /** This many live handles of one site are an error, even if none of them was ever closed; 50 by default. */
  readonly manyLive?: number;
  /** Marked iterations that may fill caches and pools before growth is judged; 2 by default. */
  readonly warmUpIterations?: number;
}

/** One handle value and what it refers to. */
interface NamedHandle {
  readonly value: bigint;
  readonly object: HandleObject;
}

/** The result of a rule for one site. */
interface Verdict {
  readonly level: Level;
  readonly message: string;
  readonly count: number;
  /** The object that the handles of the site refer to, if {@link handles} is empty. */
  readonly object: HandleObject;
  readonly handles: readonly NamedHandle[];
  readonly stacks: Finding['stacks'];
  readonly growth?: Finding['growth'];
  readonly history?: Finding['history'];
}

/** A rule as its file states it; {@link checkSites} does the work that is common to all rules. */
interface SiteRule<Entry> {
  readonly rule: Rule;
  /** The entries of the evidence that break the rule. */
  select(evidence: Evidence): readonly Entry[];
  /** The type of the object, which is part of the identity of a site. */
  typeOf(entry: Entry): string;
  /**
   * Where it happened, without anything that differs from run to run. It is part of the identity of a site and of its
   * fingerprint.
   */
  siteOf(entry: Entry): readonly string[];
  /** The labelled sections in which the calls of an entry were made. */
  sectionsOf?(entry: Entry): Sections | undefined;
  /**
   * Looks at all entries of one site together. Their order does not depend on the order of the evidence.
   *
   * @returns undefined when the site is no finding
   */
  assessSite(entries: readonly [Entry, ...Entry[]], options: AnalyzeOptions, evidence: Evidence): Verdict | undefined;
}

/** The check of one rule. */
export interface RuleCheck {
  readonly rule: Rule;
  /** The evidence's findings of this rule, in no particular order. */
  findIn(evidence: Evidence, options: AnalyzeOptions): readonly Finding[];
}

/** Makes the check of a rule: one finding for each site among the entries that the rule selects. */
export function checkSites<Entry>({
  rule,
  select,
  typeOf,
  siteOf,
  sectionsOf,
  assessSite,
}: SiteRule<Entry>): RuleCheck {
  return {
    rule,
    findIn(evidence, options) {
      const sites = groupBy(select(evidence), (entry) => fingerprint([rule, typeOf(entry), ...siteOf(entry)]));
      return [...sites].flatMap(([key, site]) => {
        const entries = site
          .map((entry) => ({ entry, order: canonicalText(entry) }))
          .sort((a, b) => compareText(a.order, b.order))
          .map(({ entry }) => entry);
        const verdict = assessSite(entries as [Entry, ...Entry[]], options, evidence);
        if (verdict === undefined) return [];
        const sections = sectionsOf && combineSections(entries.map(sectionsOf));
        return [withSections(toFinding(rule, key, verdict), sections, rule === 'leak' ? verdict.count : undefined)];
      });
    },
  };
}

function toFinding(rule: Rule, key: string, verdict: Verdict): Finding {
  const { level, message, count, stacks, growth, history } = verdict;
  const byValue = new Map(verdict.handles.map((handle) => [BigInt.asUintN(64, handle.value), handle.object]));
  const handles = [...byValue.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, namedHandles);
  const objects = handles.map((value) => byValue.get(value)!);
  const object =
    verdict.handles.length === 0 ? verdict.object : commonObject(verdict.handles.map((handle) => handle.object));
  const alike = objects.every((each) => canonicalText(each) === canonicalText(object));
  return {
    rule,
    level,
    status: 'new',
    message,
    count,
    object,
    handles,
    ...(alike ? {} : { objects }),
    stacks,
    ...(history === undefined ? {} : { history }),
    fingerprint: key,
    ...(growth === undefined ? {} : { growth }),
  };
}

/**
 * The parts that all objects share: always the type; name, socket and wrapper only when they are the same everywhere.
 */
export function commonObject(objects: readonly HandleObject[]): HandleObject {
  const [first = { type: 'Unknown' }, ...rest] = objects;
  const shares = (part: keyof HandleObject): boolean =>
    first[part] !== undefined && rest.every((object) => canonicalText(object[part]) === canonicalText(first[part]));
  const sharesType = first.wrapper !== undefined && rest.every(({ wrapper }) => wrapper?.type === first.wrapper?.type);
  return {
    type: first.type,
    ...(shares('name') ? { name: first.name! } : {}),
    ...(shares('socket') ? { socket: first.socket! } : {}),
    ...(shares('wrapper') ? { wrapper: first.wrapper! } : sharesType ? { wrapper: { type: first.wrapper!.type } } : {}),
  };
}

/** The items by their keys; keys, and the items of each, are in the order in which they first come. */
export function groupBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): ReadonlyMap<string, readonly Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** The same text for equal values, whatever the order of their keys. */
export function canonicalText(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) => {
      if (typeof part === 'bigint') return `${part}n`;
      if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
      return Object.fromEntries(Object.entries(part).sort(([a], [b]) => compareText(a, b)));
    }) ?? ''
  );
}

/**
 * The same code of the program made both calls, whatever functions of the system it called: a FILE is opened and closed
 * farther out than the handle beneath it.
 */
export function haveSameProgramFrames(one: Stack, other: Stack): boolean {
  return canonicalText(programFrames(one)) === canonicalText(programFrames(other));
}

/** Errors first, then by rule, then the most frequent first, then by fingerprint: the same in every run. */
export function compareFindings(a: Finding, b: Finding): number {
  return (
    compareLevels(a.level, b.level) ||
    compareText(a.rule, b.rule) ||
    b.count - a.count ||
    compareText(a.fingerprint, b.fingerprint)
  );
}

/** Compares UTF-16 code units, so that the order does not depend on a locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
