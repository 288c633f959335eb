import { imageOf } from '../../analyze/combine/processes.ts';
import type { Finding, Frame, Report, Stack } from '../../model.ts';
import { cutText } from '../../text/cut.ts';
import { escapeText } from '../../text/escape.ts';
import { rememberFrames } from '../stacks/frame-memory.ts';
import { baseName } from '../paths.ts';
import type { PiecewiseReporter } from '../reporter.ts';
import { isShown } from '../selection.ts';

/** Twice as many as the recorder keeps of a stack, because inlined functions have frames of their own. */
const framesMax = 128;

/** A name of a template may have thousands of characters, and no viewer shows as many. */
const nameLengthMax = 500;

/**
 * The handles that are open, by the stacks that opened them: a line for each stack and type, with the functions from
 * the thread's first to the one that opened, semicolons between them, and the number of handles. The innermost frame
 * is the type. flamegraph.pl, inferno and speedscope draw it.
 *
 * Leaks that a view shows are open handles; other rules count calls, and have no part in this.
 */
export const folded: PiecewiseReporter = function* (report, options) {
  const spell = rememberFrames(spellFrame);
  const counts = new Map<string, number>();
  for (const finding of report.findings) {
    if (finding.rule !== 'leak' || !isShown(finding, options)) continue;
    const stack = foldStack(finding.stacks.opened ?? [], spell);
    for (const { root, count } of partsOf(finding, report)) {
      const line = [...root, ...stack, `[${spellName(finding.object.type)}]`].join(';');
      counts.set(line, (counts.get(line) ?? 0) + count);
    }
  }
  for (const [line, count] of counts) yield `${line} ${count}\n`;
};

/** The processes that have a part in a finding, each as the root of its stacks; no root where there is one process. */
function partsOf(
  { count, processes }: Finding,
  report: Report,
): readonly { readonly root: readonly string[]; readonly count: number }[] {
  if (report.processes === undefined || processes === undefined) return [{ root: [], count }];
  return processes.map((part) => {
    const image = imageOf(part, report) ?? '?';
    return { root: [spellName(`${baseName(image)} (${part.pid})`)], count: part.count };
  });
}

/** The outermost frame first. The outer part of a very deep stack is left out. */
function foldStack(stack: Stack, spell: (frame: Frame) => string): readonly string[] {
  if (stack.length === 0) return ['(no stack could be walked)'];
  const kept = stack.slice(0, framesMax).map(spell).reverse();
  return kept.length < stack.length ? ['(outer frames left out)', ...kept] : kept;
}

function spellFrame({ module, function: name, offset }: Frame): string {
  return spellName(`${baseName(module)}${name === undefined ? `+0x${offset.toString(16)}` : `!${name}`}`);
}

/** A semicolon would end the frame. The scripts that fold stacks for flamegraph.pl put a colon in its place, too. */
function spellName(text: string): string {
  return cutText(escapeText(text), nameLengthMax).replaceAll(';', ':');
}
