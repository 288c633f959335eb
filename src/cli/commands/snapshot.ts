import { hostname } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';

import type { Command } from 'commander';

import { findProcesses, type ProcessInfo } from '../../process/processes.ts';
import { takeSnapshot } from '../../snapshot/take.ts';
import { writeSnapshotFile } from '../../snapshot/write.ts';
import { toolName, toolVersion } from '../../version.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { onInterruption } from '../interruptions.ts';
import { write } from '../screen/terminal.ts';

interface SnapshotOptions {
  readonly output?: string;
}

/** `unclosed snapshot`: saves the open handles of processes, for `unclosed diff` to compare. */
export function addSnapshotCommand(program: Command): void {
  const command = program
    .command('snapshot')
    .summary('save the open handles of processes to a file, to compare later')
    .description(
      'Saves every open handle of the processes: value, type, access, attributes, name or endpoints. Take one snapshot before and one after; ' +
        `\`${toolName} diff\` then shows what was opened and closed in between. A snapshot is JSON with one sorted line for each handle, so version control ` +
        'and tools that compare lines can read it, too.',
    )
    .argument('<target...>', 'a process id, a program’s name, several of these with commas or spaces, or all')
    .option('-o, --output <file>', 'write to this file, whole or not at all; by default to stdout')
    .action(async (targets: string[], options: SnapshotOptions) => {
      process.exitCode = await snapshot(targets, options);
    });
  addExamples(
    command,
    `${toolName} snapshot -o before.json app.exe`,
    `${toolName} snapshot -o after.json app.exe`,
    `${toolName} diff before.json after.json`,
  );
}

/** @returns the exit code */
async function snapshot(targets: readonly string[], { output }: SnapshotOptions): Promise<number> {
  const interruption = new AbortController();
  using _hearing = onInterruption(() => interruption.abort(new Error('interrupted')));
  try {
    const pieces = interruptible(
      takeSnapshot(choose(targets), { tool: `${toolName} ${toolVersion}`, host: hostname() }),
      interruption.signal,
    );
    if (output === undefined) {
      for await (const piece of pieces) {
        if (!write(1, piece)) break;
      }
    } else {
      await writeSnapshotFile(output, toWindowsPath(output), pieces);
    }
    return exitCodes.clean;
  } catch (error) {
    if (error !== interruption.signal.reason) throw error;
    return exitCodes.interrupted;
  }
}

/** Lets the event loop turn between pieces, because otherwise Ctrl-C is not noticed. Throws after a Ctrl-C. */
async function* interruptible(
  pieces: AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  for await (const piece of pieces) {
    await turn();
    signal.throwIfAborted();
    yield piece;
  }
}

/** `all` leaves out this tool itself: the snapshot makes most of its handles. */
function choose(targets: readonly string[]): readonly ProcessInfo[] {
  const target = targets.join(',');
  const found = findProcesses(target);
  return target.toLowerCase() === 'all' ? found.filter(({ processId }) => processId !== process.pid) : found;
}
