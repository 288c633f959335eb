import type { Report } from '../../model.ts';
import { spellDuration } from '../../text/duration.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { plural, spellNumber } from '../numbers.ts';

/** The command that was audited, with quotes where an argument needs them. The text is not escaped. */
export function spellCommand({ target }: Report): string {
  return target.command.map(quoteArgument).join(' ');
}

/** The facts about the audit: `pid 4242`, `exited with 0`, and so on. */
export function spellFacts({ target, runs, stats }: Report): readonly string[] {
  return [
    ...(runs === undefined ? [] : [spellRuns(runs)]),
    `pid ${target.pid}`,
    target.exitCode === undefined ? 'still running' : `exited with ${spellExitCode(target.exitCode)}`,
    spellDuration(stats.durationMs),
    `${spellNumber(stats.opens)} handles opened, ${spellNumber(stats.closes)} closed, ${spellNumber(stats.openHandles)} open`,
    ...(stats.iterations === undefined || (stats.iterations === 0 && stats.sections !== undefined)
      ? []
      : [`${plural(stats.iterations, 'iteration')} marked`]),
    ...(stats.sections === undefined ? [] : [`${plural(stats.sections, 'test')} labelled`]),
  ];
}

/** `5 runs, 2 of which failed`; the other facts are of one of them. */
function spellRuns(runs: NonNullable<Report['runs']>): string {
  const failed = runs.filter(({ exitCode }) => exitCode !== 0).length;
  return `${plural(runs.length, 'run')}${failed === 0 ? '' : `, ${failed} of which failed`}`;
}

function quoteArgument(argument: string): string {
  return argument === '' || /[\s"]/.test(argument) ? `"${argument.replaceAll('"', '\\"')}"` : argument;
}
