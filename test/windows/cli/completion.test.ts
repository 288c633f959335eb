import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';

import { completionFile } from '../../../launcher/completion.js';
import { type Shell, shells, writeCompletion } from '../../../src/cli/completion/index.ts';
import { loadProgram } from '../../../src/cli/program.ts';

/** Every command with its path, as commander parses it. */
function commandsOf(command: Command, path: readonly string[] = []): readonly (readonly [string, Command])[] {
  return [[path.join(' '), command], ...command.commands.flatMap((each) => commandsOf(each, [...path, each.name()]))];
}

/** The part of a script that is about one command, and how an option is written there. */
const sections: Readonly<
  Record<Shell, { section(script: string, path: string): string; option(name: string): string | RegExp }>
> = {
  bash: {
    section: (script, path) => new RegExp(`^ {4}'${`${path} words`.trim()}'\\) (.*)$`, 'm').exec(script)?.[1] ?? '',
    option: (name) => new RegExp(`['\\s]${name}['\\s]`),
  },
  zsh: {
    section: (script, path) =>
      new RegExp(`^_unclosed${path === '' ? '' : `_${path.replaceAll(' ', '_')}`}\\(\\) \\{$.*?^\\}$`, 'ms').exec(
        script,
      )?.[0] ?? '',
    option: (name) => new RegExp(`[)*]${name}[=+]?\\[`),
  },
  fish: {
    section: (script, path) =>
      script
        .split('\n')
        .filter((line) => line.includes(`-n '__unclosed_in "${path}"'`))
        .join('\n'),
    option: (name) => (name.startsWith('--') ? new RegExp(` -l ${name.slice(2)} `) : ` -s ${name.slice(1)} `),
  },
  powershell: {
    section: (script, path) => new RegExp(`^ {4}'${path}' = @\\{$.*?^ {4}\\}$`, 'ms').exec(script)?.[0] ?? '',
    option: (name) => `'${name}'`,
  },
};

describe.each(shells)('the completion for %s', (shell) => {
  let program: Command;
  let script = '';
  beforeAll(async () => {
    program = await loadProgram();
    script = writeCompletion(shell, program);
  });

  it('has each option of each command', () => {
    const { section, option } = sections[shell];
    const wanted = commandsOf(program).flatMap(([path, command]) =>
      command.options.flatMap(({ short, long }) =>
        [short, long].filter((each) => each !== undefined).map((name) => ({ path, name })),
      ),
    );
    expect(wanted).toContainEqual({ path: 'baseline diff', name: '--fail-on-growth' });
    expect(wanted.length).toBeGreaterThan(80);
    const missing = wanted.filter(({ path, name }) => {
      const text = section(script, path);
      const spelling = option(name);
      return typeof spelling === 'string' ? !text.includes(spelling) : !spelling.test(text);
    });
    expect(missing).toEqual([]);
  });

  it('has each choice of each option and operand', () => {
    const choices = commandsOf(program).flatMap(([, command]) =>
      [...command.options, ...command.registeredArguments].flatMap(({ argChoices }) => argChoices ?? []),
    );
    expect(choices).toContain('findings-first');
    expect(choices.filter((each) => !new RegExp(`['( ]${each}[') ]`).test(script))).toEqual([]);
  });

  it('is plain ASCII, as Windows PowerShell may take other letters for something else', () => {
    expect(script).toMatch(/^[\n -~]+$/);
  });

  it('is what the launcher on Linux prints from the bundle', () => {
    const bundle = fileURLToPath(new URL('../../../bundle', import.meta.url));
    expect(readFileSync(completionFile(bundle, shell), 'utf8')).toBe(script);
  });
});
