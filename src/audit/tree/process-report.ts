import type { Gap } from '../../completeness.ts';
import type { ModuleWithoutNames, Report, Statistics } from '../../model.ts';

/** Everything that a report needs of one process of a tree. */
export interface ProcessReport {
  readonly pid: number;
  readonly parentPid?: number;
  readonly image: string;
  readonly exitCode?: number;
  readonly found: Pick<Report, 'findings' | 'suppressions'>;
  readonly gaps: readonly Gap[];
  readonly nameless: readonly ModuleWithoutNames[];
  readonly stats: Statistics;
}
