import type { Argument, Command, Option } from 'commander';

import { reporterNames } from '../../report/index.ts';

// The command line as a shell needs to know it, read from the definitions that parse it.

/** The words that a shell can propose for one place of a command line. */
export type Proposal =
  | { readonly kind: 'nothing' | 'files' | 'directories' | 'processes' | 'program' }
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  /** `name` or `name=file`. */
  | { readonly kind: 'name-and-file'; readonly choices: readonly string[] };

export interface CompletedOption {
  /** As they are typed: `-o`, `--output`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly isRepeatable: boolean;
  /** Absent for a flag. */
  readonly value?: { readonly name: string; readonly isOptional: boolean; readonly proposal: Proposal };
}

interface CompletedOperand {
  readonly name: string;
  readonly isRepeatable: boolean;
  readonly proposal: Proposal;
}

export interface CompletedCommand {
  /** Without the name of the tool: `['baseline', 'diff']`. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  readonly operands: readonly CompletedOperand[];
  /** Its subcommands, `help` among them. */
  readonly commands: readonly CompletedCommand[];
}

/** The proposals for a value, by the word for it in the help. */
const proposals: Readonly<Record<string, Proposal>> = {
  file: { kind: 'files' },
  before: { kind: 'files' },
  after: { kind: 'files' },
  text: { kind: 'files' }, // of `find`, which mostly looks for a file
  path: { kind: 'directories' }, // of symbols
  process: { kind: 'processes' },
  target: { kind: 'processes' },
  program: { kind: 'program' },
  arguments: { kind: 'program' },
  'name[=file]': { kind: 'name-and-file', choices: reporterNames },
};

const nothing: Proposal = { kind: 'nothing' };

/** Reads the definition of the tool, or of a command, with all that are below it. */
export function describeCommand(
  command: Command,
  path: readonly string[] = [],
  siblings: readonly string[] = [],
): CompletedCommand {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const names = commands.map((each) => each.name());
  return {
    path,
    summary: shorten(help.subcommandDescription(command)),
    options: help.visibleOptions(command).map(describeOption),
    operands: command.registeredArguments.map((each) => describeOperand(each, siblings)),
    commands: commands.map((each) => describeCommand(each, [...path, each.name()], names)),
  };
}

/** A command, and all that are below it. */
export function listCommands(command: CompletedCommand): readonly CompletedCommand[] {
  return [command, ...command.commands.flatMap(listCommands)];
}

function describeOption({ short, long, flags, description, required, optional, argChoices }: Option): CompletedOption {
  const [, name = ''] = /(?:<(.+)>|\[(.+)\])$/.exec(flags)?.filter((part) => part !== undefined) ?? [];
  const proposal = argChoices === undefined ? proposals[name] : { kind: 'choices' as const, choices: argChoices };
  return {
    names: [short, long].filter((each) => each !== undefined),
    description: shorten(description),
    isRepeatable: /\brepeatable\b/.test(description),
    ...(required || optional
      ? {
          value: {
            name,
            isOptional: optional && !required,
            // An option that names a program does not run it.
            proposal: proposal === undefined || proposal.kind === 'program' ? nothing : proposal,
          },
        }
      : {}),
  };
}

function describeOperand(argument: Argument, siblings: readonly string[]): CompletedOperand {
  const { argChoices, variadic } = argument;
  // That of `help`.
  const choices = argument.name() === 'command' ? siblings : argChoices;
  return {
    name: argument.name(),
    isRepeatable: variadic,
    proposal: choices === undefined ? (proposals[argument.name()] ?? nothing) : { kind: 'choices', choices },
  };
}

/** The first clause, in ASCII: Windows PowerShell reads what a program prints by the code page of the console. */
function shorten(description: string): string {
  const [clause = ''] = description.split(/[;:.] /, 1);
  return clause
    .replace(/\.$/, '')
    .replaceAll('’', "'")
    .replaceAll(/[“”]/g, '"')
    .replaceAll(/[^ -~]/g, '?');
}
