import { defaultSuppressions, isDefaultSuppression } from '../analyze/default-suppressions.ts';
import { analyze } from '../analyze/index.ts';
import { type Suppression, suggestSuppression, suppress } from '../analyze/suppressions.ts';
import { spellDay } from '../text/day.ts';
import type { Finding, Report, Stack, SuppressionUse } from '../model.ts';
import type { Evidence } from '../evidence-model.ts';
import type { AuditOptions } from './options.ts';

/**
 * Applies the rules and the suppressions to the evidence: the findings, each with its status and a line that suppresses
 * it, and the lines that suppressed any.
 *
 * @param given suppressions beside the default ones
 */
export function findIn(
  evidence: Evidence,
  options: Pick<AuditOptions, 'analysis' | 'defaultSuppressions'>,
  given: readonly Suppression[],
): Pick<Report, 'findings' | 'suppressions'> {
  const suppressions = [...given, ...(options.defaultSuppressions === false ? [] : defaultSuppressions())];
  const { findings, uses } = suppress(analyze(evidence, options.analysis), suppressions, spellDay(new Date()));
  const isOfInterest = (use: SuppressionUse): boolean => !isDefaultSuppression(use) || use.findings > 0;
  return {
    findings: findings.map((finding) => ({ ...finding, suppression: suggestSuppression(finding) })),
    suppressions: uses.filter(isOfInterest),
  };
}

/** Modules of the program that have functions without names in the stacks of these findings, in alphabetical order. */
export function modulesWithoutNames(findings: readonly Finding[]): readonly string[] {
  const frames = findings.flatMap(({ stacks }) => Object.values<Stack>(stacks).flat());
  const nameless = frames.filter((frame) => frame.system !== true && frame.function === undefined);
  return [...new Set(nameless.map(({ module }) => module))].sort();
}
