import type { Gap } from '../../completeness.ts';
import type { ModuleWithoutNames, Statistics } from '../../model.ts';
import type { findIn } from '../findings.ts';

/** Everything that a report needs of one process of a tree. */
export interface ProcessReport {
  readonly pid: number;
  readonly parentPid?: number;
  readonly image: string;
  readonly exitCode?: number;
  readonly found: ReturnType<typeof findIn>;
  readonly gaps: readonly Gap[];
  readonly nameless: readonly ModuleWithoutNames[];
  readonly stats: Statistics;
}
