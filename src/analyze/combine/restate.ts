import type { Finding, ProcessSummary, Report } from '../../model.ts';
import { compareFindings } from '../grouping.ts';

/**
 * The report with other verdicts on its findings: their levels and statuses may differ, and nothing else. They are put
 * in order, and what a report counts of them is right again.
 *
 * @param findings those of the report, in their order
 */
export function restateFindings<R extends Report>(report: R, findings: readonly Finding[]): R {
  const { processes } = report;
  const moved = findings.map((finding, index) => ({
    processes: finding.processes ?? [],
    by: Number(isSerious(finding)) - Number(isSerious(report.findings[index]!)),
  }));
  const restate = (summary: ProcessSummary, place: number): ProcessSummary => {
    const isOf = (each: (typeof moved)[number]): boolean => each.processes.some(({ index }) => index === place);
    const change = moved.filter(isOf).reduce((sum, { by }) => sum + by, 0);
    return { ...summary, findings: Math.max(0, summary.findings + change) };
  };
  return {
    ...report,
    findings: [...findings].sort(compareFindings),
    ...(processes === undefined ? {} : { processes: processes.map(restate) }),
  };
}

/** Whether a finding counts in the summary of a process. */
function isSerious({ level, status }: Finding): boolean {
  return level !== 'note' && status === 'new';
}
