import type { ProcessSummary, Report } from '../../model.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { StackView } from '../stack-view.ts';
import { cutEnd } from '../text-width.ts';

/** The processes of a tree, a line each, indented below the one that started them; none where there was only one. */
export function drawProcesses({ processes = [] }: Report, { theme, width }: StackView): readonly string[] {
  if (processes.length === 0) return [];
  const children = new Map<number | undefined, ProcessSummary[]>();
  const pids = new Set(processes.map(({ pid }) => pid));
  const [root] = processes;
  for (const process of processes) {
    const parent = process === root || !pids.has(process.parentPid ?? 0) ? undefined : process.parentPid;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [process]);
    else siblings.push(process);
  }
  const lines: string[] = [];
  const draw = (process: ProcessSummary, depth: number): void => {
    const { pid, image, exitCode, opens, findings } = process;
    const end = exitCode === undefined ? 'still running' : `exited with ${spellExitCode(exitCode)}`;
    const found = findings === 0 ? '' : `, ${plural(findings, 'finding')}`;
    const text = `${'  '.repeat(depth)}${theme.escape(baseName(image))} ${pid}: ${end}, ${spellNumber(opens)} opened${found}`;
    lines.push(cutEnd(`  ${text}`, width, theme.signs.ellipsis));
    // A process id may be used again: each process is drawn once.
    const below = children.get(pid) ?? [];
    children.delete(pid);
    for (const child of below) draw(child, Math.min(depth + 1, DEPTH_MAX));
  };
  const first = children.get(undefined) ?? [];
  children.delete(undefined);
  for (const process of first) draw(process, 0);
  return [theme.dim(`${plural(processes.length, 'process', 'processes')}:`), ...lines];
}

/** Deeper trees are drawn as if they were so deep. */
const DEPTH_MAX = 8;
