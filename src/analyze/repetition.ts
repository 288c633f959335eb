import { combineCompleteness, weighGaps } from '../completeness.ts';
import type { Finding, Report, Statistics, SuppressionUse } from '../model.ts';
import { compareLevels, rules } from '../rules.ts';
import { compareFindings } from './grouping.ts';

/**
 * One report of several runs of a target. A finding stands in it once, as the run showed it in which it was worst, and
 * says in how many of the runs it was.
 *
 * The target is the first run that failed, or else the last; what {@link Statistics} count is added up, and what they
 * measure at one moment is of that run.
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
    findings: combineFindings(reports.map(({ findings }) => findings)),
    completeness: weighGaps([...missing, ...gaps]),
    suppressions: combineSuppressions(reports.map(({ suppressions = [] }) => suppressions)),
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

function combineFindings(runs: readonly (readonly Finding[])[]): readonly Finding[] {
  const fingerprints = new Set(runs.flatMap((findings) => findings.map(({ fingerprint }) => fingerprint)));
  return [...fingerprints]
    .map((fingerprint) => {
      const found = runs.map((findings) => findings.find((finding) => finding.fingerprint === fingerprint));
      const seen = found.filter((finding) => finding !== undefined);
      const worst = seen.reduce((a, b) =>
        compareLevels(b.level, a.level) < 0 || (b.level === a.level && b.count > a.count) ? b : a,
      );
      const counts = found.map((finding) => finding?.count ?? 0);
      return { ...worst, message: `${worst.message} ${spellRuns(worst, counts)}`, runs: counts };
    })
    .sort(compareFindings);
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

function combineSuppressions(runs: readonly (readonly SuppressionUse[])[]): readonly SuppressionUse[] {
  const uses = new Map<string, SuppressionUse>();
  for (const use of runs.flat()) {
    const key = `${use.source}\0${use.lineNumber}`;
    uses.set(key, { ...use, findings: use.findings + (uses.get(key)?.findings ?? 0) });
  }
  return [...uses.values()];
}

function combineStatistics(shown: Statistics, runs: readonly Statistics[]): Statistics {
  const sum = (of: (stats: Statistics) => number): number => runs.reduce((total, stats) => total + of(stats), 0);
  return {
    ...shown,
    durationMs: sum(({ durationMs }) => durationMs),
    opens: sum(({ opens }) => opens),
    closes: sum(({ closes }) => closes),
    ...(shown.iterations === undefined ? {} : { iterations: sum(({ iterations = 0 }) => iterations) }),
  };
}
