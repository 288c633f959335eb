import { Command, CommanderError } from 'commander';

import { SystemError } from '../io/index.ts';
import { LedgerDamagedError } from '../agent/ledger.ts';
import { ProgramError } from '../process/program.ts';
import { toolName, toolVersion } from '../version.ts';
import { exitCodes } from './exit-code.ts';
import { addRunCommand } from './run.ts';
import { describeOutput, write } from './terminal.ts';

const program = new Command(toolName)
  .description('Finds the handles and sockets that a Windows program left unclosed, closed twice, or used after closing.')
  .version(toolVersion)
  .enablePositionalOptions()
  .exitOverride()
  .showSuggestionAfterError()
  .showHelpAfterError(`Try ${toolName} --help.`)
  .configureOutput({
    writeOut: (text) => write(1, text),
    writeErr: (text) => write(2, text),
    getOutHelpWidth: () => describeOutput(1).columns,
    getErrHelpWidth: () => describeOutput(2).columns,
    getOutHasColors: () => describeOutput(1).colorLevel > 0,
    getErrHasColors: () => describeOutput(2).colorLevel > 0,
  });
addRunCommand(program);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}

/** Says what went wrong, and returns the exit code for it. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.clean : exitCodes.error; // it has printed already
  const isExpected = error instanceof SystemError || error instanceof ProgramError || error instanceof LedgerDamagedError;
  const text = isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  write(2, `${toolName}: ${text}\n`);
  return exitCodes.error;
}
