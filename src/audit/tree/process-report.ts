import type { Gap } from '../../completeness.ts';
import type { ModuleWithoutNames, Report, Statistics } from '../../model.ts';

/** Everything that a report needs of one process of a tree. */
export interface ProcessReport {
  /** Which process it is. Its id may be another's later. */
  readonly target: { readonly pid: number };
  /** {@link target} of the process that started it, if that is known. */
  readonly parent?: { readonly pid: number };
  readonly pid: number;
  readonly image: string;
  readonly exitCode?: number;
  readonly found: Pick<Report, 'findings' | 'suppressions'>;
  readonly gaps: readonly Gap[];
  readonly nameless: readonly ModuleWithoutNames[];
  readonly stats: Statistics;
}

/** The part of a report that comes from the processes of a tree. */
export interface TreeReport {
  readonly reports: readonly ProcessReport[];
  /** Gaps beside those of the reports: processes without one. */
  readonly gaps: readonly Gap[];
  /** Errors for which processes have no report, in the order of the gaps. */
  readonly failures: readonly unknown[];
}
