import type { Evidence, Finding } from '../model.ts';
import { doubleClose } from './rules/double-close.ts';
import { type AnalyzeOptions, compareFindings, type Judge } from './grouping.ts';
import { inherited, inheritedByChild } from './rules/inherited.ts';
import { invalidClose } from './rules/invalid-close.ts';
import { invalidUse } from './rules/invalid-use.ts';
import { leak } from './rules/leak.ts';
import { protectedClose } from './rules/protected-close.ts';
import { staleClose } from './rules/stale-close.ts';
import { staleUse } from './rules/stale-use.ts';
import { useAfterClose } from './rules/use-after-close.ts';
import { wrongCloser } from './rules/wrong-closer.ts';
import { wrongType } from './rules/wrong-type.ts';

export type { AnalyzeOptions } from './grouping.ts';

/** Every rule, one file each. A new rule is a new file and a row here. */
const judges: readonly Judge[] = [
  leak,
  doubleClose,
  staleClose,
  useAfterClose,
  staleUse,
  invalidClose,
  invalidUse,
  wrongCloser,
  wrongType,
  protectedClose,
  inherited,
  inheritedByChild,
];

/**
 * Applies every rule to the evidence and returns one finding per site: errors first, then warnings, then notes.
 * The result depends on what the evidence says, never on the order in which it says it.
 */
export function analyze(evidence: Evidence, options: AnalyzeOptions = {}): readonly Finding[] {
  return judges.flatMap((judge) => judge(evidence, options)).sort(compareFindings);
}
