import type { Finding, Level, Report, Rule } from '../model.ts';
import { compareLevels } from '../rules.ts';
import type { ReportOptions } from './reporter.ts';

/** The findings of a report, by what becomes of them in a view. Each stands in one list, in the order of the report. */
interface Selection {
  /** New errors and warnings: always shown. */
  readonly serious: readonly Finding[];
  /** New notes: shown with {@link ReportOptions.showNotes}. */
  readonly notes: readonly Finding[];
  /** Known findings of any level: shown with {@link ReportOptions.showSuppressed}. */
  readonly known: readonly Finding[];
  /** Suppressed findings of any level: shown with {@link ReportOptions.showSuppressed}. */
  readonly suppressed: readonly Finding[];
}

/** Sorts the findings of a report into those that every view shows and those that it shows on demand. */
export function selectFindings({ findings }: Pick<Report, 'findings'>): Selection {
  const isNew = findings.filter(({ status }) => status === 'new');
  return {
    serious: isNew.filter(({ level }) => level !== 'note'),
    notes: isNew.filter(({ level }) => level === 'note'),
    known: findings.filter(({ status }) => status === 'known'),
    suppressed: findings.filter(({ status }) => status === 'suppressed'),
  };
}

/** Whether a view with these options lists a finding. */
export function isShown(
  { status, level }: Finding,
  { showNotes = false, showSuppressed = false }: Pick<ReportOptions, 'showNotes' | 'showSuppressed'>,
): boolean {
  return status === 'new' ? showNotes || level !== 'note' : showSuppressed;
}

/** The findings that a view with these options lists: the new ones first, and the worst first among each. */
export function listFindings({ findings }: Pick<Report, 'findings'>, options: ReportOptions): readonly Finding[] {
  const shown = findings.filter((finding) => isShown(finding, options));
  return [...shown.filter(({ status }) => status === 'new'), ...shown.filter(({ status }) => status !== 'new')];
}

/** A kind of findings: the next of the same kind says less to a reader than the first of another. */
export interface Kind {
  readonly level: Level;
  /** This and {@link type} are absent where the findings differ in them. */
  readonly rule?: Rule;
  readonly type?: string;
}

/**
 * The order in which findings deserve room: errors before warnings before notes, and within a level the first of each
 * kind before the second of any, for the second is often the first in other words.
 */
export function rank<Item extends Kind>(
  items: readonly Item[],
): readonly { readonly item: Item; readonly nth: number }[] {
  const seen = new Map<string, number>();
  return items
    .map((item, index) => {
      const kind = JSON.stringify([item.level, item.rule, item.type]);
      const nth = seen.get(kind) ?? 0;
      seen.set(kind, nth + 1);
      return { item, nth, index };
    })
    .sort((a, b) => compareLevels(a.item.level, b.item.level) || a.nth - b.nth || a.index - b.index);
}
