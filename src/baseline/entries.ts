import type { Finding, KnownAmount } from '../model.ts';
import type { Rule } from '../rules.ts';
import { normaliseStack } from '../analyze/stacks.ts';
import { escapeText } from '../text/escape.ts';

/** A finding that a baseline accepts: a line of the file. */
export interface KnownFinding extends KnownAmount {
  readonly rule: Rule;
  readonly fingerprint: string;
  /** Where it is, for a reader of the file. It is compared with nothing. */
  readonly site: string;
  /** The text that a person has written behind the entry. */
  readonly remark?: string;
}

/** A name of a site is cut behind so many characters, and so many functions are named. */
const nameLengthMax = 100;
const namesMax = 4;

/** The entry of a finding, without a remark. */
export function toEntry(finding: Finding): KnownFinding {
  const { rule, fingerprint } = finding;
  return { rule, fingerprint, ...amountOf(finding), site: spellSite(finding) };
}

/**
 * How much a baseline must accept to accept a finding. A site that grows with every iteration has more handles after a
 * longer run, so it is measured by its growth in each. Over several runs, the one with the most counts.
 */
function amountOf(finding: Finding): KnownAmount {
  const perIteration = growthOf(finding);
  return perIteration === undefined ? { count: countOf(finding) } : { count: perIteration, perIteration: true };
}

/** Whether a finding has more handles or calls than these. */
export function exceeds(finding: Finding, { count, perIteration }: KnownAmount): boolean {
  // Without marks there is nothing to compare with a growth: the site is known.
  return perIteration === true ? (growthOf(finding) ?? 0) > count : countOf(finding) > count;
}

/** How much of a finding there is, in the unit of an entry; undefined when it cannot be measured in that. */
export function measure(finding: Finding, { perIteration }: KnownAmount): number | undefined {
  return perIteration === true ? growthOf(finding) : countOf(finding);
}

function countOf({ count, runs = [] }: Finding): number {
  return runs.reduce((most, each) => Math.max(most, each), count);
}

/** Whole handles, so that an average that moves a little stays the same. */
function growthOf({ growth }: Finding): number | undefined {
  if (growth === undefined || growth.iterations === 0 || growth.grewIn < growth.iterations) return undefined;
  return Math.max(1, Math.ceil(growth.handlesPerIteration));
}

/** `File: CreateFile < app.exe!open_log < app.exe!main`: without line numbers, it lasts as long as the fingerprint. */
function spellSite({ object, stacks }: Finding): string {
  const names = normaliseStack(stacks.offending ?? stacks.opened ?? []).slice(0, namesMax);
  return `${spellName(object.type)}: ${names.length === 0 ? 'unknown' : names.map(spellName).join(' < ')}`;
}

/** A name in plain ASCII, in which no remark begins. */
function spellName(name: string): string {
  const text = escapeText(name, true).trim().replaceAll(/ +/g, ' ').replaceAll(' #', ' \\#');
  return text.length > nameLengthMax ? `${text.slice(0, nameLengthMax - 3).trimEnd()}...` : text;
}
