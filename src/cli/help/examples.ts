import { type Command, Help } from 'commander';

/** Two at least: the plain one, and one with the options that are wanted next. A remark may stand behind a `#`. */
type Examples = readonly [string, string, ...string[]];

const known: WeakMap<Command, Examples> = new WeakMap();

/** Adds the examples with which the help of a command begins. */
export function addExamples(command: Command, ...examples: Examples): Command {
  known.set(command, examples);
  return command;
}

/** The examples of a command, if it has any. */
export function examplesOf(command: Command): readonly string[] {
  return known.get(command) ?? [];
}

/** The help as Commander writes it, with the examples behind the line of usage: most readers need no more. */
export function formatHelp(command: Command, help: Help): string {
  const [usage = '', ...rest] = Help.prototype.formatHelp.call(help, command, help).split('\n');
  const examples = examplesOf(command);
  const lines = examples.length === 0 ? [] : ['', help.styleTitle('Examples:'), ...examples.map((each) => `  ${each}`)];
  return [usage, ...lines, ...rest].join('\n');
}
