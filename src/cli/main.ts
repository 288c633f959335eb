import { CommanderError } from 'commander';

import { TerminateProcess } from '../ffi/kernel32.ts';
import { CURRENT_PROCESS } from '../io/raw.ts';
import { UserError } from '../user-error.ts';
import { toolName } from '../version.ts';
import { exitCodes } from './exit-codes.ts';
import { loadProgram } from './program.ts';
import { write } from './screen/terminal.ts';

/** Runs the command that this process was started with, and sets its exit code. Never rejects. */
export async function runCommandLine(): Promise<void> {
  try {
    const program = await loadProgram(process.argv[2]);
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
