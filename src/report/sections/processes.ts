import type { ProcessSummary, Report } from '../../model.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { cutEnd } from '../text-width.ts';

/** Deeper trees are drawn as if they were so deep. */
const DEPTH_MAX = 8;
/** So many processes that are alike are drawn one by one; more become one line. */
const ALIKE_MAX = 3;

/** Processes that share a line, and how deep they are below the first one. */
interface ProcessRow {
  readonly alike: readonly [ProcessSummary, ...ProcessSummary[]];
  readonly depth: number;
}

/** The processes of a tree, indented below the one that started them; none where there was only one. */
export function drawProcesses(report: Report, { theme, width, options }: StackView): readonly string[] {
  const rows = listProcesses(report, options.showAll === true);
  if (rows.length === 0) return [];
  const lines = rows.map(({ alike, depth }) => {
    const text = `${'  '.repeat(depth)}${theme.escape(spellProcesses(alike))}`;
    return cutEnd(`  ${text}`, width, theme.signs.ellipsis);
  });
  return [theme.dim(`${plural(report.processes?.length ?? 0, 'process', 'processes')}:`), ...lines];
}

/**
 * Each process behind the one that started it; none where there was only one. Processes without children that ran the
 * same program to the same end share a row when they are many.
 */
export function listProcesses({ processes = [] }: Report, showAll: boolean): readonly ProcessRow[] {
  const rows: ProcessRow[] = [];
  const children = groupByParent(processes);
  const add = (siblings: readonly ProcessSummary[], depth: number): void => {
    const groups = new Map<ProcessSummary | string, [ProcessSummary, ...ProcessSummary[]]>();
    for (const process of siblings) {
      const { image, exitCode, findings } = process;
      const isAlone = children.has(process) || showAll;
      const key = isAlone ? process : JSON.stringify([baseName(image), exitCode, findings > 0]);
      const known = groups.get(key);
      if (known === undefined) groups.set(key, [process]);
      else known.push(process);
    }
    for (const group of groups.values()) {
      for (const alike of group.length > ALIKE_MAX ? [group] : group.map((process) => [process] as const)) {
        rows.push({ alike, depth: Math.min(depth, DEPTH_MAX) });
        add(children.get(alike[0]) ?? [], depth + 1);
      }
    }
  };
  add(children.get(undefined) ?? [], 0);
  return rows;
}

/** By places and not by ids, which are used again. A process was started after its parent, and stands behind it. */
function groupByParent(processes: readonly ProcessSummary[]): Map<ProcessSummary | undefined, ProcessSummary[]> {
  const children = new Map<ProcessSummary | undefined, ProcessSummary[]>();
  for (const [place, process] of processes.entries()) {
    const { parentIndex = place } = process;
    const parent = parentIndex < place ? processes[parentIndex] : undefined;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [process]);
    else siblings.push(process);
  }
  return children;
}

/**
 * `worker.exe 4311: exited with 0, 310 opened, 1 finding`; or for several, `40 processes of worker.exe: …`. The text is
 * not escaped.
 */
export function spellProcesses(alike: readonly [ProcessSummary, ...ProcessSummary[]]): string {
  const [{ pid, image, exitCode, findings }] = alike;
  const name = baseName(image);
  const who = alike.length === 1 ? `${name} ${pid}` : `${alike.length} processes of ${name}`;
  const end = exitCode === undefined ? 'still running' : `exited with ${spellExitCode(exitCode)}`;
  const opens = alike.reduce((sum, process) => sum + process.opens, 0);
  const found = alike.length === 1 ? plural(findings, 'finding') : 'with findings';
  return `${who}: ${end}, ${spellNumber(opens)} opened${findings === 0 ? '' : `, ${found}`}`;
}
