import type { ProcessSummary, Report } from '../../model.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { StackView } from '../stack-view.ts';
import { cutEnd } from '../text-width.ts';

/** Deeper trees are drawn as if they were so deep. */
const DEPTH_MAX = 8;
/** So many processes that are alike are drawn one by one; more become one line. */
const ALIKE_MAX = 3;

/**
 * The processes of a tree, indented below the one that started them; none where there was only one. Processes without
 * children that ran the same program to the same end share a line when they are many.
 */
export function drawProcesses({ processes = [] }: Report, view: StackView): readonly string[] {
  if (processes.length === 0) return [];
  const { theme, width, options } = view;
  const lines: string[] = [];
  const children = groupByParent(processes);
  const draw = (siblings: readonly ProcessSummary[], depth: number): void => {
    const alike = new Map<string, ProcessSummary[]>();
    for (const process of siblings) {
      const { pid, image, exitCode, findings } = process;
      const isAlone = children.has(pid) || options.showAll === true;
      const key = JSON.stringify(isAlone ? pid : [baseName(image), exitCode, findings > 0]);
      const known = alike.get(key);
      if (known === undefined) alike.set(key, [process]);
      else known.push(process);
    }
    for (const group of alike.values()) {
      const rows = group.length > ALIKE_MAX ? [group] : group.map((process) => [process]);
      for (const row of rows) {
        const indent = '  '.repeat(Math.min(depth, DEPTH_MAX) + 1);
        lines.push(cutEnd(indent + spell(row, view), width, theme.signs.ellipsis));
        const [{ pid } = { pid: -1 }] = row;
        // A process id may be used again: each process is drawn once.
        const below = children.get(pid) ?? [];
        children.delete(pid);
        draw(below, depth + 1);
      }
    }
  };
  const first = children.get(undefined) ?? [];
  children.delete(undefined);
  draw(first, 0);
  return [theme.dim(`${plural(processes.length, 'process', 'processes')}:`), ...lines];
}

function groupByParent(processes: readonly ProcessSummary[]): Map<number | undefined, ProcessSummary[]> {
  const children = new Map<number | undefined, ProcessSummary[]>();
  const pids = new Set(processes.map(({ pid }) => pid));
  const [root] = processes;
  for (const process of processes) {
    const parent = process === root || !pids.has(process.parentPid ?? 0) ? undefined : process.parentPid;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [process]);
    else siblings.push(process);
  }
  return children;
}

/** `worker.exe 4311: exited with 0, 310 opened, 1 finding`; or for several, `40 processes of worker.exe: …`. */
function spell(alike: readonly ProcessSummary[], { theme }: StackView): string {
  const [{ pid, image, exitCode, findings }] = alike as [ProcessSummary];
  const name = theme.escape(baseName(image));
  const who = alike.length === 1 ? `${name} ${pid}` : `${alike.length} processes of ${name}`;
  const end = exitCode === undefined ? 'still running' : `exited with ${spellExitCode(exitCode)}`;
  const opens = alike.reduce((sum, process) => sum + process.opens, 0);
  const found = alike.length === 1 ? plural(findings, 'finding') : 'with findings';
  return `${who}: ${end}, ${spellNumber(opens)} opened${findings === 0 ? '' : `, ${found}`}`;
}
