import type { Evidence, Finding, HandleObject, Level, Rule } from '../model.ts';
import { fingerprint } from './fingerprint.ts';

/** How many handles a finding names. */
const namedHandles = 10;

export interface AnalyzeOptions {
  /** So many live handles of one site are an error even if none of them was ever closed; 50 unless told. */
  readonly manyLive?: number;
  /** Marked iterations that may fill caches and pools before growth is judged; 2 unless told. */
  readonly warmUpIterations?: number;
}

/** One handle value and what it refers to. */
interface NamedHandle {
  readonly value: bigint;
  readonly object: HandleObject;
}

/** What a rule says of one site. */
interface Verdict {
  readonly level: Level;
  readonly message: string;
  readonly count: number;
  /** What the site's handles refer to, should none of them be named in {@link handles}. */
  readonly object: HandleObject;
  readonly handles: readonly NamedHandle[];
  readonly stacks: Finding['stacks'];
  readonly growth?: Finding['growth'];
}

/** A rule as its file states it; {@link siteRule} does what is common to all. */
interface SiteRule<Entry> {
  readonly rule: Rule;
  /** The entries of the evidence that break the rule. */
  select(evidence: Evidence): readonly Entry[];
  /** The type of the object, which is part of a site's identity. */
  typeOf(entry: Entry): string;
  /**
   * Where it happened, free of everything that differs from run to run: part of a site's identity, and of its
   * fingerprint.
   */
  siteOf(entry: Entry): readonly string[];
  /**
   * Judges all entries of one site together, in an order that does not depend on the evidence's.
   *
   * @returns undefined when there is nothing to be found in them
   */
  judge(entries: readonly [Entry, ...Entry[]], options: AnalyzeOptions, evidence: Evidence): Verdict | undefined;
}

/** A row of the rule table: evidence in, findings out. */
export type Judge = (evidence: Evidence, options: AnalyzeOptions) => readonly Finding[];

/** Makes one finding per site of what a rule selects. */
export function siteRule<Entry>({ rule, select, typeOf, siteOf, judge }: SiteRule<Entry>): Judge {
  return (evidence, options) => {
    const sites = new Map<string, { entry: Entry; order: string }[]>();
    for (const entry of select(evidence)) {
      const key = fingerprint([rule, typeOf(entry), ...siteOf(entry)]);
      const site = sites.get(key) ?? [];
      site.push({ entry, order: canonicalText(entry) });
      sites.set(key, site);
    }
    return [...sites].flatMap(([key, site]) => {
      const entries = site.sort((a, b) => compareText(a.order, b.order)).map(({ entry }) => entry);
      const verdict = judge(entries as [Entry, ...Entry[]], options, evidence);
      return verdict === undefined ? [] : [toFinding(rule, key, verdict)];
    });
  };
}

function toFinding(rule: Rule, key: string, verdict: Verdict): Finding {
  const { level, message, count, stacks, growth } = verdict;
  const byValue = new Map(verdict.handles.map((handle) => [BigInt.asUintN(64, handle.value), handle.object]));
  const handles = [...byValue.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, namedHandles);
  const objects = handles.map((value) => byValue.get(value)!);
  const object =
    verdict.handles.length === 0 ? verdict.object : commonObject(verdict.handles.map((handle) => handle.object));
  const alike = objects.every((each) => canonicalText(each) === canonicalText(object));
  return {
    rule,
    level,
    message,
    count,
    object,
    handles,
    ...(alike ? {} : { objects }),
    stacks,
    fingerprint: key,
    ...(growth === undefined ? {} : { growth }),
  };
}

/** What all of the objects share: the type always, name, socket and wrapper only when they are the same everywhere. */
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

const ranks: Readonly<Record<Level, number>> = { error: 0, warning: 1, note: 2 };

/** Errors first, then by rule, then the most frequent first, then by fingerprint: the same in every run. */
export function compareFindings(a: Finding, b: Finding): number {
  return (
    ranks[a.level] - ranks[b.level] ||
    compareText(a.rule, b.rule) ||
    b.count - a.count ||
    compareText(a.fingerprint, b.fingerprint)
  );
}

/** By UTF-16 code units, so that the order is no locale's. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
