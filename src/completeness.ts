/**
 * The gaps of a report, as data. report/gaps.ts has the sentences.
 * This file imports nothing.
 */

/** A part of the truth that the audit did not see, with the figures that belong to it. */
export type Gap = {
  /** The runs that it belongs to, counted from 1; absent when it belongs to all of them. */
  readonly runs?: readonly number[];
  /** The ids of the processes that it belongs to, one for each; absent when it belongs to all of them. */
  readonly processes?: readonly number[];
  /** The place of each of {@link processes} in those of the report, from 0; absent where that does not list them. */
  readonly indexes?: readonly number[];
} & (
  | { readonly kind: CountedGap; readonly count: number }
  | { readonly kind: NamingGap; readonly names: readonly string[] }
  | { readonly kind: 'interrupted' | 'inherited-cut' | 'settled-without-marks' }
  /** The target ended before its handle table was read. */
  | { readonly kind: 'handle-table-lost'; readonly why: 'ended-from-outside' | 'failed-fast' | 'gate-unattended' }
  /** No mark came by this event or pipe. */
  | { readonly kind: 'no-marks'; readonly mark: string }
  /** No section was begun by this pipe, so no leaks could be judged at the ends of sections. */
  | { readonly kind: 'no-sections'; readonly mark: string }
  /** Too few counts were made at marks to judge growth. */
  | {
      readonly kind: 'too-few-marks';
      /** Iterations that were marked. */
      readonly iterations: number;
      readonly warmUpIterations: number;
      /** Iterations that it takes, with the warm-up. */
      readonly needed: number;
    }
  /** A child process went on when the audit ended: what it had open may yet be closed. */
  | { readonly kind: 'process-left'; readonly image: string }
  /** A process could not be recorded, and ran as if alone. */
  | { readonly kind: 'process-unrecorded'; readonly image: string; readonly why: string }
  /** A child process ran as if alone, as the user wished. */
  | { readonly kind: 'process-skipped'; readonly image: string }
  /** Too few intervals were counted to judge growth. */
  | { readonly kind: 'too-few-intervals'; readonly intervals: number; readonly needed: number }
  /** The target runs on, and was watched for so long. */
  | { readonly kind: 'watched-for'; readonly durationMs: number }
  /** The agent's memory stays in the target. */
  | { readonly kind: 'left-in-target'; readonly sizeBytes: number }
  /** Counts were joined, because there were too many marks to keep those of each. */
  | { readonly kind: 'marks-joined'; readonly iterations: number }
  /** Fewer runs took place than were asked for. */
  | { readonly kind: 'runs-missing'; readonly done: number; readonly wanted: number }
);

/** Gaps of which only their number is known. */
export type CountedGap =
  | 'functions-missed'
  | 'functions-blocked'
  | 'functions-missed-at-attach'
  | 'beyond-capacity'
  | 'stacks-dropped'
  | 'misuses-dropped'
  | 'duplicates-unresolved'
  | 'runtime-objects-dropped'
  | 'quarantine-lost'
  | 'nested-walks'
  | 'swept-dropped'
  | 'open-before'
  | 'children-unfollowed'
  | 'opened-by-others'
  | 'names-timed-out'
  | 'sections-forgotten'
  | 'requests-missed'
  | 'requests-unknown';

/** Gaps that name what was not recorded, or, for `modules-interposed`, what was passed over. */
export type NamingGap = 'calls-unrecognised' | 'functions-unmovable' | 'programs-missing' | 'modules-interposed';

/** Every kind of gap, and whether it may hide a finding; the others are worth knowing, no more. */
export const mayHideFindings: Readonly<Record<Gap['kind'], boolean>> = {
  interrupted: true,
  'runs-missing': true,
  'no-marks': true,
  'no-sections': true,
  'too-few-marks': true,
  'process-left': true,
  'process-unrecorded': true,
  'process-skipped': false,
  'programs-missing': true,
  'too-few-intervals': true,
  'marks-joined': true,
  'handle-table-lost': true,
  'calls-unrecognised': true,
  'functions-unmovable': true,
  'functions-missed': true,
  'functions-blocked': true,
  'functions-missed-at-attach': true,
  'beyond-capacity': true,
  'stacks-dropped': true,
  'misuses-dropped': true,
  'duplicates-unresolved': true,
  'runtime-objects-dropped': true,
  'quarantine-lost': true,
  'swept-dropped': true,
  'nested-walks': true,
  'watched-for': false,
  'left-in-target': false,
  'settled-without-marks': false,
  'inherited-cut': false,
  'open-before': false,
  'children-unfollowed': true,
  'opened-by-others': false,
  'names-timed-out': false,
  'sections-forgotten': false,
  'modules-interposed': false,
  'requests-missed': false,
  'requests-unknown': false,
};

/** A gap with its number; none when the number is 0. */
export function countedGap(kind: CountedGap, count: number): readonly Gap[] {
  return count === 0 ? [] : [{ kind, count }];
}

/** A gap with its names; none when there are no names. */
export function namingGap(kind: NamingGap, names: readonly string[]): readonly Gap[] {
  return names.length === 0 ? [] : [{ kind, names }];
}

/** How much of the truth a report holds, so that "0 findings" is never said of partial data. */
export interface Completeness {
  /** False when something that could hide a finding was missed. */
  readonly complete: boolean;
  /** Everything that was missed; gaps that may hide findings come first. */
  readonly gaps: readonly Gap[];
}

/** The completeness of a report that has these gaps. */
export function weighGaps(gaps: readonly Gap[]): Completeness {
  const hiding = gaps.filter(({ kind }) => mayHideFindings[kind]);
  return { complete: hiding.length === 0, gaps: [...hiding, ...gaps.filter(({ kind }) => !mayHideFindings[kind])] };
}

/** Gaps of one process. */
export interface ProcessGaps {
  /** Windows uses ids again: two processes may have the same. */
  readonly pid: number;
  /** Its place in the processes of the report, from 0; absent where that does not list it. */
  readonly index?: number;
  readonly gaps: readonly Gap[];
}

/**
 * The gaps of several processes: one that is not in all of them names its processes, and numbers are added up.
 *
 * @param processes in the order in which the report lists them
 */
export function combineProcessGaps(
  processes: readonly { readonly pid: number; readonly gaps: readonly Gap[] }[],
): readonly Gap[] {
  const listed = processes.map(({ pid, gaps }, index) => ({ pid, index, gaps }));
  return groupGaps(listed).map(({ processes: pids = [], indexes = [], ...gap }) =>
    pids.length === processes.length ? gap : { ...gap, processes: pids, indexes },
  );
}

/** Gaps that say the same of several processes become one, which names the processes. Numbers are added up. */
export function groupGaps(processes: readonly ProcessGaps[]): readonly Gap[] {
  const found = new Map<string, { gap: Gap; readonly of: Set<ProcessGaps> }>();
  for (const process of processes) {
    for (const gap of process.gaps) {
      const key = JSON.stringify('count' in gap ? { ...gap, count: 0 } : gap);
      const known = found.get(key);
      if (known === undefined) {
        found.set(key, { gap, of: new Set([process]) });
        continue;
      }
      known.of.add(process);
      if ('count' in gap && 'count' in known.gap) known.gap = { ...gap, count: known.gap.count + gap.count };
    }
  }
  return Array.from(found.values(), ({ gap, of }) => {
    const indexes = [...of].flatMap(({ index = [] }) => index);
    const listed = indexes.length === of.size ? { indexes } : {};
    return { ...gap, processes: Array.from(of, ({ pid }) => pid), ...listed };
  });
}

/**
 * The completeness of several runs: a gap that is not in all of them names its runs. A report lists the processes of
 * one run only, so no gap has the places of its processes.
 */
export function combineCompleteness(runs: readonly Completeness[]): Completeness {
  const found = new Map<string, { readonly gap: Gap; readonly runs: Set<number> }>();
  runs.forEach(({ gaps }, index) => {
    for (const { indexes: _indexes, ...gap } of gaps) {
      const key = JSON.stringify(gap);
      const known = found.get(key);
      if (known === undefined) found.set(key, { gap, runs: new Set([index + 1]) });
      else known.runs.add(index + 1);
    }
  });
  return weighGaps(
    [...found.values()].map(({ gap, runs: where }) =>
      where.size === runs.length ? gap : { ...gap, runs: [...where] },
    ),
  );
}
