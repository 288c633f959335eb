import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';

import { examplesOf } from '../../../src/cli/help/examples.ts';
import { loadProgram } from '../../../src/cli/program.ts';
import { parseCall, unknownOptions } from './command-lines.ts';

let program: Command;
beforeAll(async () => {
  program = await loadProgram();
});

function commands(command: Command = program): readonly Command[] {
  return [command, ...command.commands.flatMap(commands)];
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
        const call = parseCall(program, example);
        const unknown = unknownOptions(call);
        return call.command === program || unknown.length > 0 ? [`${example}: ${unknown.join(' ')}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('has examples of the command itself', () => {
    const foreign = commands().filter(
      (command) =>
        command !== program &&
        !examplesOf(command).some((example) => {
          const called = parseCall(program, example).command;
          return called === command || called.parent === command;
        }),
    );
    expect(foreign.map((command) => command.name())).toEqual([]);
  });
});
