/**
 * The processes of a report. Windows uses process ids again, so a process is known by its place in the list of all.
 * This file imports nothing.
 */

/** One of several processes under audit. */
export interface ProcessSummary {
  /** Windows uses ids again: an earlier process of the report may have had the same. */
  readonly pid: number;
  /** The process that started it; absent for the first one. */
  readonly parentPid?: number;
  /** The place of that process in the report's `processes`, from 0; absent where that does not list it. */
  readonly parentIndex?: number;
  /** Whole path of the program. */
  readonly image: string;
  /** Unsigned; absent while it runs. */
  readonly exitCode?: number;
  readonly opens: number;
  readonly closes: number;
  /** Findings of level error or warning that it has a part in. */
  readonly findings: number;
}

/** The part that one of several processes has in a finding. */
export interface ProcessPart {
  /** Windows uses ids again: two processes of a report may have the same. */
  readonly pid: number;
  /** The place of the process in the report's `processes`, from 0; absent where that does not list it. */
  readonly index?: number;
  /** Whole path of the program, for a process of another run than the one that the report's `processes` lists. */
  readonly image?: string;
  /** Its part of the finding's `count`. */
  readonly count: number;
}
