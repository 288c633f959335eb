import { combineProcessFindings, combineUses } from '../../analyze/combine/processes.ts';
import { combineNameless } from '../../analyze/combine/repetition.ts';
import { combineProcessGaps, type Gap, weighGaps } from '../../completeness.ts';
import type { Finding, ModuleWithoutNames, ProcessSummary, Report, Statistics } from '../../model.ts';
import { toolName, toolVersion } from '../../version.ts';
import type { ProcessReport } from './process-report.ts';

/** The part of a report that comes from all processes. */
interface CombinedTree extends Pick<Report, 'findings' | 'suppressions' | 'processes' | 'stats'> {
  readonly gaps: readonly Gap[];
  readonly nameless: readonly ModuleWithoutNames[];
}

/**
 * One report of the first process and those that it has started. Where it has started none, the report is that of the
 * one process.
 */
export function combineTree(
  root: ProcessReport,
  children: { readonly reports: readonly ProcessReport[]; readonly gaps: readonly Gap[] } | undefined,
): CombinedTree {
  const { reports = [], gaps = [] } = children ?? {};
  if (reports.length === 0)
    return { ...root.found, gaps: [...root.gaps, ...gaps], nameless: root.nameless, stats: root.stats };
  const all = [root, ...reports];
  const findings = combineProcessFindings(
    all.map(({ pid, image, found }) => ({ pid, image, findings: found.findings })),
  );
  return {
    findings,
    suppressions: combineUses(
      all.map(({ found }) => found.suppressions ?? []),
      findings,
    ),
    processes: summarise(all, findings),
    gaps: [...combineProcessGaps(all), ...gaps],
    nameless: combineNameless(all.map(({ nameless }) => nameless)),
    stats: addUp(all.map(({ stats }) => stats)),
  };
}

/** The report of a combined tree. */
export function toReport(target: Report['target'], { gaps, nameless, ...combined }: CombinedTree): Report {
  return {
    schemaVersion: 1,
    tool: { name: toolName, version: toolVersion },
    target,
    ...combined,
    completeness: weighGaps(gaps),
    ...(nameless.length === 0 ? {} : { modulesWithoutNames: nameless }),
  };
}

function summarise(all: readonly ProcessReport[], findings: readonly Finding[]): readonly ProcessSummary[] {
  const places = new Map(all.map(({ target }, place) => [target, place]));
  return all.map(({ pid, parent, image, exitCode, stats }, place) => {
    const parentIndex = parent === undefined ? undefined : places.get(parent);
    const isOf = ({ processes = [], level, status }: Finding): boolean =>
      level !== 'note' && status === 'new' && processes.some(({ index }) => index === place);
    return {
      pid,
      ...(parent === undefined ? {} : { parentPid: parent.pid }),
      ...(parentIndex === undefined ? {} : { parentIndex }),
      image,
      ...(exitCode === undefined ? {} : { exitCode }),
      opens: stats.opens,
      closes: stats.closes,
      findings: findings.filter(isOf).length,
    };
  });
}

/** Sums, but for the duration, which is that of the first process, and the system calls, which are hooked in each. */
function addUp(all: readonly Statistics[]): Statistics {
  const sum = (of: (stats: Statistics) => number): number => all.reduce((total, stats) => total + of(stats), 0);
  return {
    ...all[0]!,
    opens: sum(({ opens }) => opens),
    closes: sum(({ closes }) => closes),
    openHandles: sum(({ openHandles }) => openHandles),
    distinctStacks: sum(({ distinctStacks }) => distinctStacks),
  };
}
