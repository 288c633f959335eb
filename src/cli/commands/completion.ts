import { Argument, type Command } from 'commander';

import { toolName } from '../../version.ts';
import { type Shell, shells, writeCompletion } from '../completion/index.ts';
import { exitCodes } from '../exit-codes.ts';
import { addExamples } from '../help/examples.ts';
import { write } from '../screen/terminal.ts';

/**
 * `unclosed completion`: prints the script by which a shell completes the tool's command line.
 *
 * The launcher on Linux prints the same script from a file, which the bundler wrote (launcher/completion.js).
 *
 * @param loadProgram gives the whole tool: `program` may have this one command only
 */
export function addCompletionCommand(program: Command, loadProgram: () => Promise<Command>): void {
  const command = program
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
  addExamples(
    command,
    `source <(${toolName} completion bash)    # in ~/.bashrc`,
    `source <(${toolName} completion zsh)    # in ~/.zshrc, after compinit`,
    `${toolName} completion fish | source    # in ~/.config/fish/config.fish`,
    `${toolName} completion powershell | Out-String | Invoke-Expression    # in $PROFILE`,
  );
}
