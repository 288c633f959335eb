import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';

import { examplesOf } from '../../../src/cli/help/examples.ts';
import { loadProgram } from '../../../src/cli/program.ts';

let program: Command;
beforeAll(async () => {
  program = await loadProgram();
});

function commands(command: Command = program): readonly Command[] {
  return [command, ...command.commands.flatMap(commands)];
}

/** The words of an example up to a remark or a pipe, without what a shell puts around them. */
function wordsOf(example: string): readonly string[] {
  const [, line = ''] = /\bunclosed (.*?)(?: +#.*| [|>] .*|\).*)?$/.exec(example) ?? [];
  return line.split(' ').filter((word) => word !== '');
}

/** The command that an example calls, and its options: those of a program behind `--` are not ours. */
function parse(example: string): { readonly command: Command; readonly options: readonly string[] } {
  const words = wordsOf(example);
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

describe('the help', () => {
  it('has two examples at least for each command', () => {
    expect(commands().length).toBeGreaterThan(12);
    const few = commands().filter((command) => examplesOf(command).length < 2);
    expect(few.map((command) => command.name())).toEqual([]);
  });

  it('shows them before the description and the options', () => {
    for (const command of commands()) {
      const [usage = '', blank, title, ...rest] = command.helpInformation().split('\n');
      expect(usage).toMatch(/^Usage: unclosed/);
      expect([blank, title]).toEqual(['', 'Examples:']);
      expect(rest.slice(0, 2)).toEqual(
        examplesOf(command)
          .slice(0, 2)
          .map((each) => `  ${each}`),
      );
      expect(rest.join('\n')).toContain('\nOptions:\n');
    }
  });

  it('has examples of commands and options that exist only', () => {
    const wrong = commands().flatMap((shown) =>
      examplesOf(shown).flatMap((example) => {
        const { command, options } = parse(example);
        const known = command.options.flatMap(({ short, long }) => [short, long]);
        const unknown = options.filter((option) => !known.includes(option));
        return command === program || unknown.length > 0 ? [`${example}: ${unknown.join(' ')}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('has examples of the command itself', () => {
    const foreign = commands().filter(
      (command) =>
        command !== program &&
        !examplesOf(command).some((example) => {
          const called = parse(example).command;
          return called === command || called.parent === command;
        }),
    );
    expect(foreign.map((command) => command.name())).toEqual([]);
  });
});
