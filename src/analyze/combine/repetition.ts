import { combineCompleteness, weighGaps } from '../../completeness.ts';
import type {
  Finding,
  FindingStatus,
  ModuleWithoutNames,
  Report,
  Statistics,
  SuppressionLine,
  SuppressionUse,
} from '../../model.ts';
import { compareLevels, rules } from '../../rules.ts';
import { compareFindings, compareText } from '../grouping.ts';

/**
 * One report of several runs of a target. Each finding stands in it once and says in how many of the runs it was.
 *
 * A finding that is new in any run is new. It is shown as in the run in which it was worst, among the runs in which it
 * had that status.
 *
 * The target is the first run that failed, or else the last. The counts of {@link Statistics} are added up; the values
 * that they measure at one moment are that run's.
 *
 * @param wanted how many runs there were to be
 * @throws RangeError without any run
 */
export function combineRuns(reports: readonly Report[], wanted: number = reports.length): Report {
  const shown = reports.find(({ target }) => target.exitCode !== 0) ?? reports.at(-1);
  if (shown === undefined) throw new RangeError('There is no run to report.');
  const { gaps } = combineCompleteness(reports.map(({ completeness }) => completeness));
  const missing = reports.length < wanted ? [{ kind: 'runs-missing', done: reports.length, wanted } as const] : [];
  return {
    ...shown,
    findings: combineFindings(reports, shown),
    completeness: weighGaps([...missing, ...gaps]),
    ...combineModulesWithoutNames(reports),
    suppressions: combineSuppressions(reports),
    runs: reports.map(({ target: { pid, exitCode }, stats: { durationMs } }) => ({
      pid,
      ...(exitCode === undefined ? {} : { exitCode }),
      durationMs,
    })),
    stats: combineStatistics(
      shown.stats,
      reports.map(({ stats }) => stats),
    ),
  };
}

/** The one that demands most comes first. */
const statuses: readonly FindingStatus[] = ['new', 'known', 'suppressed'];

function combineFindings(runs: readonly Report[], shown: Report): readonly Finding[] {
  const fingerprints = new Set(runs.flatMap(({ findings }) => findings.map(({ fingerprint }) => fingerprint)));
  return [...fingerprints]
    .map((fingerprint) => {
      const found = runs.map(({ findings }) => findings.find((finding) => finding.fingerprint === fingerprint));
      const seen = found.filter((finding) => finding !== undefined);
      const worst = chooseFinding(seen);
      const counts = found.map((finding) => finding?.count ?? 0);
      const run = runs[found.indexOf(worst)]!;
      const own = run === shown ? worst : withPrograms(worst, run);
      return { ...own, message: `${worst.message} ${spellRuns(worst, counts)}`, runs: counts };
    })
    .sort(compareFindings);
}

/** The processes of another run are not listed: the finding says itself which programs they ran. */
function withPrograms(finding: Finding, run: Report): Finding {
  if (finding.processes === undefined) return finding;
  const processes = finding.processes.map(({ pid, index = -1, count }) => {
    const image = run.processes?.[index]?.image;
    return { pid, ...(image === undefined ? {} : { image }), count };
  });
  return { ...finding, processes };
}

/**
 * The finding that stands for all that have its fingerprint: one that is new in any place is new, and it is shown as
 * where it was worst.
 */
export function chooseFinding(findings: readonly Finding[]): Finding {
  const status = statuses.find((each) => findings.some((finding) => finding.status === each));
  const candidates = findings.filter((finding) => finding.status === status);
  return candidates.reduce((a, b) =>
    compareLevels(b.level, a.level) < 0 || (b.level === a.level && b.count > a.count) ? b : a,
  );
}

/** `In each of 5 runs, 3 handles a run.`; a finding that is not in all of them is flaky. */
function spellRuns({ rule }: Finding, counts: readonly number[]): string {
  const seen = counts.filter((count) => count > 0);
  const unit = rules[rule].counts === 'handles' ? 'handle' : 'time';
  const noun = (count: number): string => (count === 1 ? unit : `${unit}s`);
  const [least, most] = [Math.min(...seen), Math.max(...seen)];
  const amount = least === most ? `${most} ${noun(most)} a run` : `${least} to ${most} ${noun(most)} a run`;
  if (counts.length === 1) return `In the only run, ${amount}.`;
  if (seen.length === counts.length) return `In each of ${counts.length} runs, ${amount}.`;
  return `Flaky: in ${seen.length} of ${counts.length} runs, ${amount}.`;
}

function combineModulesWithoutNames(reports: readonly Report[]): Pick<Report, 'modulesWithoutNames'> {
  const all = combineNameless(reports.map(({ modulesWithoutNames = [] }) => modulesWithoutNames));
  return all.length === 0 ? {} : { modulesWithoutNames: all };
}

/** Modules of several reports whose functions have no names, each once. */
export function combineNameless(lists: readonly (readonly ModuleWithoutNames[])[]): readonly ModuleWithoutNames[] {
  const byName = new Map(lists.flat().map((each) => [each.module, each]));
  return [...byName.values()].sort((a, b) => compareText(a.module, b.module));
}

/** A site that a line suppressed in several runs counts once, as it stands once among the findings. */
function combineSuppressions(reports: readonly Report[]): readonly SuppressionUse[] {
  const keyOf = ({ source, lineNumber }: SuppressionLine): string => `${source}\0${lineNumber}`;
  const sites = new Map<string, Set<string>>();
  for (const { suppressedBy, fingerprint } of reports.flatMap(({ findings }) => findings)) {
    if (suppressedBy === undefined) continue;
    const key = keyOf(suppressedBy);
    sites.set(key, (sites.get(key) ?? new Set()).add(fingerprint));
  }
  const uses = new Map(reports.flatMap(({ suppressions = [] }) => suppressions.map((use) => [keyOf(use), use])));
  return [...uses].map(([key, use]) => ({ ...use, findings: sites.get(key)?.size ?? 0 }));
}

function combineStatistics(shown: Statistics, runs: readonly Statistics[]): Statistics {
  const sum = (of: (stats: Statistics) => number): number => runs.reduce((total, stats) => total + of(stats), 0);
  return {
    ...shown,
    durationMs: sum(({ durationMs }) => durationMs),
    opens: sum(({ opens }) => opens),
    closes: sum(({ closes }) => closes),
    ...(shown.iterations === undefined ? {} : { iterations: sum(({ iterations = 0 }) => iterations) }),
    ...(shown.sections === undefined ? {} : { sections: sum(({ sections = 0 }) => sections) }),
  };
}
