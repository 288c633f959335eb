import type { Command } from 'commander';

/** A call of the tool in a text: its words, and the options among them that are not the program's own. */
export interface Call {
  readonly command: Command;
  readonly options: readonly string[];
}

/** Reads a command line from the tool's name up to a remark, a redirection or the end of what a shell quotes. */
export function parseCall(program: Command, line: string): Call {
  const [, text = ''] = /\bunclosed (.*?)(?: +#.*| [|>] .*|\).*)?$/.exec(line) ?? [];
  const words = text.split(' ').filter((word) => word !== '');
  let command = program;
  for (const word of words) {
    const deeper = command.commands.find((each) => each.name() === word);
    if (deeper === undefined) break;
    command = deeper;
  }
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  return { command, options: own.filter((word) => word.startsWith('-')).map((word) => word.split('=', 1)[0]!) };
}

/** Options of a call that its command does not have. */
export function unknownOptions({ command, options }: Call): readonly string[] {
  const known = command.options.flatMap(({ short, long }) => [short, long]);
  return options.filter((option) => !known.includes(option));
}
