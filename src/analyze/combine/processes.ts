import type { Finding, ProcessPart, Report, SuppressionLine, SuppressionUse } from '../../model.ts';
import { rules } from '../../rules.ts';
import { compareFindings, compareText } from '../grouping.ts';
import { chooseFinding } from './repetition.ts';
import { combineSections, replaceSections } from './sections.ts';
import { baseName } from '../wording.ts';

/** The findings of one process of several. */
interface ProcessFindings {
  readonly pid: number;
  readonly image: string;
  readonly findings: readonly Finding[];
}

/**
 * One list of the findings of several processes. Each site stands in it once, and says in which processes it is. It is
 * shown as in the process in which it was worst, and its count is the sum of all.
 *
 * @param processes in the order in which the report lists them
 */
export function combineProcessFindings(processes: readonly ProcessFindings[]): readonly Finding[] {
  const found = new Map<string, (ProcessFindings & { readonly index: number; readonly finding: Finding })[]>();
  for (const [index, process] of processes.entries()) {
    for (const finding of process.findings) {
      const known = found.get(finding.fingerprint);
      if (known === undefined) found.set(finding.fingerprint, [{ ...process, index, finding }]);
      else known.push({ ...process, index, finding });
    }
  }
  return [...found.values()]
    .map((seen) => {
      const count = seen.reduce((sum, { finding }) => sum + finding.count, 0);
      const chosen = chooseFinding(seen.map(({ finding }) => finding));
      const sections = combineSections(seen.map(({ finding }) => finding.sections));
      const worst = replaceSections(chosen, sections, chosen.rule === 'leak' ? count : undefined);
      return {
        ...worst,
        count,
        message: `${worst.message} ${spellProcesses(seen, worst, count)}`,
        processes: seen.map(({ pid, index, finding }) => ({ pid, index, count: finding.count })),
      };
    })
    .sort(compareFindings);
}

/** `In process 48 (child.exe).`, `In 40 processes of child.exe, 120 handles in all.` */
function spellProcesses(seen: readonly ProcessFindings[], { rule }: Finding, count: number): string {
  const images = [...new Set(seen.map(({ image }) => baseName(image)))].sort(compareText);
  const [first] = seen;
  if (seen.length === 1) return `In process ${first!.pid} (${images[0]}).`;
  const unit = rules[rule].counts === 'handles' ? 'handles' : 'times';
  const of = images.length <= 3 ? images.join(', ') : `${images.length} programs`;
  return `In ${seen.length} processes of ${of}, ${count} ${unit} in all.`;
}

/** The suppressions of several processes, each with the sites that it suppressed in any of them. */
export function combineUses(
  uses: readonly (readonly SuppressionUse[])[],
  findings: readonly Finding[],
): readonly SuppressionUse[] {
  const keyOf = ({ source, lineNumber }: SuppressionLine): string => `${source}\0${lineNumber}`;
  const byKey = new Map(uses.flat().map((use) => [keyOf(use), use]));
  const countOf = (key: string): number =>
    findings.filter(({ suppressedBy }) => suppressedBy !== undefined && keyOf(suppressedBy) === key).length;
  return [...byKey].map(([key, use]) => ({ ...use, findings: countOf(key) }));
}

/** The whole path of the program of a process that has a part in a finding; undefined where it is not known. */
export function imageOf({ index = -1, image }: ProcessPart, { processes = [] }: Report): string | undefined {
  return processes[index]?.image ?? image;
}
