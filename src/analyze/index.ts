import type { Finding } from '../model.ts';
import type { Evidence } from '../evidence-model.ts';
import type { Rule } from '../rules.ts';
import { type AnalyzeOptions, compareFindings, type RuleCheck } from './grouping.ts';
import { doubleClose } from './rules/double-close.ts';
import { inherited } from './rules/inherited.ts';
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

/** The check of every rule. A new rule is a row in `rules.ts`, a file in `rules/` and a line here. */
export const checks: Readonly<Record<Rule, RuleCheck>> = {
  leak,
  'double-close': doubleClose,
  'stale-close': staleClose,
  'use-after-close': useAfterClose,
  'stale-use': staleUse,
  'invalid-close': invalidClose,
  'invalid-use': invalidUse,
  'wrong-closer': wrongCloser,
  'wrong-type': wrongType,
  'protected-close': protectedClose,
  inherited,
};

/**
 * Applies every rule to the evidence and returns one finding per site: errors first, then warnings, then notes.
 * The result depends on the content of the evidence, never on its order.
 */
export function analyze(evidence: Evidence, options: AnalyzeOptions = {}): readonly Finding[] {
  return Object.values(checks)
    .flatMap((check) => check.findIn(evidence, options))
    .sort(compareFindings);
}
