import type { ProcessSummary, Report } from '../../model.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { plural, spellNumber } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { StackView } from '../stack-view.ts';
import { cutEnd } from '../text-width.ts';

/** The processes of a tree, a line each, indented below the one that started them; none where there was only one. */
export function drawProcesses(report: Report, { theme, width }: StackView): readonly string[] {
  const rows = listProcesses(report);
  if (rows.length === 0) return [];
  const lines = rows.map(({ process, depth }) => {
    const text = `${'  '.repeat(depth)}${theme.escape(spellProcess(process))}`;
    return cutEnd(`  ${text}`, width, theme.signs.ellipsis);
  });
  return [theme.dim(`${plural(rows.length, 'process', 'processes')}:`), ...lines];
}

/** `app.exe 4242: exited with 0, 1,412 opened, 2 findings`. The text is not escaped. */
export function spellProcess({ pid, image, exitCode, opens, findings }: ProcessSummary): string {
  const end = exitCode === undefined ? 'still running' : `exited with ${spellExitCode(exitCode)}`;
  const found = findings === 0 ? '' : `, ${plural(findings, 'finding')}`;
  return `${baseName(image)} ${pid}: ${end}, ${spellNumber(opens)} opened${found}`;
}

/** Each process behind the one that started it, and how deep it is below the first; none where there was only one. */
export function listProcesses({
  processes = [],
}: Report): readonly { readonly process: ProcessSummary; readonly depth: number }[] {
  const children = new Map<number | undefined, ProcessSummary[]>();
  const pids = new Set(processes.map(({ pid }) => pid));
  const [root] = processes;
  for (const process of processes) {
    const parent = process === root || !pids.has(process.parentPid ?? 0) ? undefined : process.parentPid;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [process]);
    else siblings.push(process);
  }
  const rows: { process: ProcessSummary; depth: number }[] = [];
  const add = (process: ProcessSummary, depth: number): void => {
    rows.push({ process, depth });
    // A process id may be used again: each process is listed once.
    const below = children.get(process.pid) ?? [];
    children.delete(process.pid);
    for (const child of below) add(child, Math.min(depth + 1, DEPTH_MAX));
  };
  const first = children.get(undefined) ?? [];
  children.delete(undefined);
  for (const process of first) add(process, 0);
  return rows;
}

/** Deeper trees are shown as if they were so deep. */
const DEPTH_MAX = 8;
