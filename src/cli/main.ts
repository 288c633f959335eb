import { Command, CommanderError } from 'commander';

import { TerminateProcess } from '../ffi/kernel32.ts';
import { CURRENT_PROCESS } from '../io/raw.ts';
import { UserError } from '../user-error.ts';
import { toolName, toolVersion } from '../version.ts';
import { exitCodes } from './exit-codes.ts';
import { describeOutput, write } from './terminal.ts';

const program = new Command(toolName)
  .description('Finds the handles and sockets that a Windows program left open, closed twice, or used after closing.')
  .version(toolVersion)
  .enablePositionalOptions()
  .exitOverride()
  .showSuggestionAfterError()
  .configureOutput({
    writeOut: (text) => write(1, text),
    writeErr: (text) => write(2, text),
    outputError: (text, print) => print(`${toolName}: ${spellUsageError(text)}\n`),
    getOutHelpWidth: () => describeOutput(1).columns,
    getErrHelpWidth: () => describeOutput(2).columns,
    getOutHasColors: () => describeOutput(1).colorLevel > 0,
    getErrHasColors: () => describeOutput(2).colorLevel > 0,
  });

/**
 * The commands in the order of the help. The modules of a command, and the DLLs that they bind, are loaded only when
 * that command runs.
 */
const commands: ReadonlyMap<string, () => Promise<(program: Command) => void>> = new Map([
  ['run', async () => (await import('./commands/run.ts')).addRunCommand],
  ['attach', async () => (await import('./commands/attach.ts')).addAttachCommand],
  ['baseline', async () => (await import('./commands/baseline.ts')).addBaselineCommand],
  ['init', async () => (await import('./commands/init.ts')).addInitCommand],
  ['handles', async () => (await import('./commands/handles.ts')).addHandlesCommand],
  ['find', async () => (await import('./commands/find.ts')).addFindCommand],
  ['explain', async () => (await import('./commands/explain.ts')).addExplainCommand],
  ['close', async () => (await import('./commands/close.ts')).addCloseCommand],
  ['snapshot', async () => (await import('./commands/snapshot.ts')).addSnapshotCommand],
  ['diff', async () => (await import('./commands/diff.ts')).addDiffCommand],
  ['watch', async () => (await import('./commands/watch.ts')).addWatchCommand],
  ['doctor', async () => (await import('./commands/doctor.ts')).addDoctorCommand],
]);

/** Runs the command that this process was started with, and sets its exit code. Never rejects. */
export async function runCommandLine(): Promise<void> {
  try {
    const named = commands.get(process.argv[2] ?? '');
    for (const load of named === undefined ? commands.values() : [named]) (await load())(program);
    await program.parseAsync(process.argv);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

/** Ends this process at once. No code after it runs. */
export function endProcess(exitCode: number): void {
  TerminateProcess(CURRENT_PROCESS, exitCode);
}

/** Prints what went wrong, and returns the exit code for it. */
function explain(error: unknown): number {
  // Commander has printed it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.clean : exitCodes.error;
  const text =
    error instanceof UserError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  write(2, `${toolName}: ${text}\n`);
  return exitCodes.error;
}

/**
 * Turns a message of Commander, such as `error: unknown option '--nope'\n(Did you mean --notes?)`, into one line in our
 * own form.
 */
function spellUsageError(text: string): string {
  const [first = '', ...rest] = text
    .trim()
    .replace(/^error: /, '')
    .split(/\s*\n\s*/);
  const hint = rest.join(' ').replace(/^\(Did you mean (.*)\?\)$/, 'Try $1');
  const sentences = [first.charAt(0).toUpperCase() + first.slice(1), hint]
    .filter((part) => part !== '')
    .map((part) => part.replace(/[^.!?]$/, '$&.'));
  const line = sentences.join(' ');
  if (/\bTry /.test(line)) return line;
  const command = program.commands.find((each) => each.name() === process.argv[2]);
  return `${line} Try ${[toolName, ...(command === undefined ? [] : [command.name()]), '--help'].join(' ')}.`;
}
