import { dissect, moduleName } from '../analyze/stacks.ts';
import type { Finding, Report, SuppressionLine, SuppressionUse } from '../model.ts';
import { compilePattern } from '../text/pattern.ts';
import { imageOf } from '../analyze/combine/processes.ts';
import { restateFindings } from '../analyze/combine/restate.ts';
import type { Config, NamePatterns } from './config.ts';

/** A part of a configuration that accepts findings, as a line of suppressions does. */
interface Exclusion extends SuppressionLine {
  readonly matches: (finding: Finding) => boolean;
}

/**
 * The report with the levels of a configuration. Findings of rules that are off, and of modules and processes that are
 * left out, are suppressed; the report counts them among its suppressions.
 *
 * @param source name of the configuration file
 */
export function applyConfig(report: Report, config: Config, source: string): Report {
  const exclusions = [...listRulesOff(config, source), ...listScopes(report, config, source)];
  const used = new Map<Exclusion, number>();
  const findings = report.findings.map((original) => {
    const finding = withLevel(original, config);
    if (finding.status !== 'new') return finding;
    const exclusion = exclusions.find(({ matches }) => matches(finding));
    if (exclusion === undefined) return finding;
    used.set(exclusion, (used.get(exclusion) ?? 0) + 1);
    return { ...finding, status: 'suppressed' as const, suppressedBy: toLine(exclusion) };
  });
  // A rule that is off, and a name that is left out, need not have a finding.
  const uses: readonly SuppressionUse[] = [...used].map(([each, count]) => ({ ...toLine(each), findings: count }));
  return {
    ...restateFindings(report, findings),
    ...(uses.length === 0 ? {} : { suppressions: [...(report.suppressions ?? []), ...uses] }),
  };
}

/** Notes stand for handles of the system and for what cannot be helped: a level does not make more of them. */
function withLevel(finding: Finding, { rules: levels = {} }: Config): Finding {
  const level = levels[finding.rule];
  return level === undefined || level === 'off' || finding.level === 'note' ? finding : { ...finding, level };
}

function listRulesOff({ rules: levels = {} }: Config, source: string): readonly Exclusion[] {
  return Object.entries(levels).flatMap(([rule, level], index) =>
    level !== 'off'
      ? []
      : [
          {
            line: `${rule}: off`,
            source: `${source}#rules`,
            lineNumber: index + 1,
            matches: (finding: Finding) => finding.rule === rule,
          },
        ],
  );
}

function listScopes(report: Report, { include = {}, exclude = {} }: Config, source: string): readonly Exclusion[] {
  return (['modules', 'processes'] as const).flatMap((kind) => {
    const namesOf = kind === 'modules' ? moduleOf : (finding: Finding) => processesOf(finding, report);
    const excluded = compileNames(exclude[kind]).map(({ pattern, fits }, index) => ({
      line: pattern,
      source: `${source}#exclude.${kind}`,
      lineNumber: index + 1,
      // A finding of several processes is left out when all of them are.
      matches: (finding: Finding) => namesOf(finding).length > 0 && namesOf(finding).every(fits),
    }));
    const included = compileNames(include[kind]);
    if (included.length === 0) return excluded;
    const others = {
      line: `not ${included.map(({ pattern }) => pattern).join(', ')}`,
      source: `${source}#include.${kind}`,
      lineNumber: 1,
      matches: (finding: Finding) =>
        namesOf(finding).length > 0 && !namesOf(finding).some((name) => included.some(({ fits }) => fits(name))),
    };
    return [...excluded, others];
  });
}

function compileNames(
  names: NamePatterns['modules'] = [],
): readonly { readonly pattern: string; readonly fits: (name: string) => boolean }[] {
  return names.map((pattern) => ({ pattern, fits: compilePattern(`^${pattern}$`) }));
}

/** The module whose code made the call; none where there is no stack. */
function moduleOf({ stacks }: Finding): readonly string[] {
  const stack = stacks.offending ?? stacks.opened ?? [];
  const frame = dissect(stack).site ?? stack[0];
  return frame === undefined ? [] : [moduleName(frame)];
}

/** The programs of a finding; none where one is not known. A process id does not tell: Windows uses ids again. */
function processesOf({ processes }: Finding, report: Report): readonly string[] {
  if (processes === undefined) return [programName(report.target.command[0] ?? '')];
  const names = processes.map((part) => imageOf(part, report));
  return names.every((name) => name !== undefined) ? names.map(programName) : [];
}

function programName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1).toLowerCase();
  return name.includes('.') ? name : `${name}.exe`;
}

function toLine({ line, source, lineNumber }: Exclusion): SuppressionLine {
  return { line, source, lineNumber };
}
