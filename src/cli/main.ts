import { Command, CommanderError } from 'commander';

import { SystemError } from '../io/index.ts';
import { LedgerDamagedError } from '../agent/ledger.ts';
import { ProcessNotFoundError } from '../process/processes.ts';
import { ProgramError } from '../process/program.ts';
import { SnapshotError } from '../snapshot/errors.ts';
import { toolName, toolVersion } from '../version.ts';
import { addDiffCommand } from './diff.ts';
import { exitCodes } from './exit-code.ts';
import { ReportFileError } from './report-output.ts';
import { addRunCommand } from './run.ts';
import { addSnapshotCommand } from './snapshot.ts';
import { describeOutput, write } from './terminal.ts';
import { addWatchCommand } from './watch.ts';

const program = new Command(toolName)
  .description('Finds the handles and sockets that a Windows program left unclosed, closed twice, or used after closing.')
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
addRunCommand(program);
addSnapshotCommand(program);
addDiffCommand(program);
addWatchCommand(program);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = explain(error);
}

/** Says what went wrong, and returns the exit code for it. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.clean : exitCodes.error; // it has printed already
  const isExpected = [SystemError, ProgramError, LedgerDamagedError, ReportFileError, ProcessNotFoundError, SnapshotError].some((kind) => error instanceof kind);
  const text = isExpected ? (error as Error).message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  write(2, `${toolName}: ${text}\n`);
  return exitCodes.error;
}

/** Commander's message as one line in the words of our own: `error: unknown option '--nope'\n(Did you mean --notes?)`. */
function spellUsageError(text: string): string {
  const [first = '', ...rest] = text.trim().replace(/^error: /, '').split(/\s*\n\s*/);
  const hint = rest.join(' ').replace(/^\(Did you mean (.*)\?\)$/, 'Try $1');
  const sentences = [first.charAt(0).toUpperCase() + first.slice(1), hint].filter((part) => part !== '').map((part) => part.replace(/[^.!?]$/, '$&.'));
  const line = sentences.join(' ');
  if (/\bTry /.test(line)) return line;
  const command = program.commands.find((each) => each.name() === process.argv[2]);
  return `${line} Try ${[toolName, ...(command === undefined ? [] : [command.name()]), '--help'].join(' ')}.`;
}
