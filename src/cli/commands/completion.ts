import { Argument, type Command } from 'commander';

import { type Shell, shells, writeCompletion } from '../completion/index.ts';
import { exitCodes } from '../exit-codes.ts';
import { write } from '../terminal.ts';

/**
 * `unclosed completion`: prints the script by which a shell completes the tool's command line.
 *
 * The launcher on Linux prints the same script from a file, which the bundler wrote (launcher/completion.js).
 *
 * @param loadProgram gives the whole tool: `program` may have this one command only
 */
export function addCompletionCommand(program: Command, loadProgram: () => Promise<Command>): void {
  program
    .command('completion')
    .summary('print a script that completes commands and options in your shell')
    .description(
      'Prints the script by which a shell completes the commands, options, choices and files of this tool when you press Tab, and behind -- those of ' +
        'the program. Let the start-up file of your shell run it.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action(async (shell: Shell) => {
      write(1, writeCompletion(shell, await loadProgram()));
      process.exitCode = exitCodes.clean;
    });
}
