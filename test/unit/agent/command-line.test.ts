import { describe, expect, test } from 'vitest';

import { buildCommandLine, quoteArgument } from '../../../src/process/command-line.ts';
import { seededRandom } from './random.ts';

/**
 * Takes a command line apart as Microsoft's C runtime and CommandLineToArgvW do.
 * https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
 */
function parseCommandLine(line: string): readonly string[] {
  const program = /^"([^"]*)"|^[^ \t]*/.exec(line)!;
  const parsed = [program[1] ?? program[0]];
  let rest = line.slice(program[0].length);
  for (;;) {
    rest = rest.replace(/^[ \t]+/, '');
    if (rest === '') return parsed;
    let argument = '';
    let isQuoted = false;
    while (rest !== '' && (isQuoted || !/^[ \t]/.test(rest))) {
      const [backslashes = ''] = /^\\*/.exec(rest)!;
      if (rest[backslashes.length] === '"') {
        argument += '\\'.repeat(Math.floor(backslashes.length / 2));
        rest = rest.slice(backslashes.length + 1);
        if (backslashes.length % 2 === 1) argument += '"';
        else if (isQuoted && rest.startsWith('"')) [argument, rest] = [`${argument}"`, rest.slice(1)];
        else isQuoted = !isQuoted;
      } else {
        const taken = Math.max(1, backslashes.length);
        argument += rest.slice(0, taken);
        rest = rest.slice(taken);
      }
    }
    parsed.push(argument);
  }
}

describe('an argument stands in the command line as', () => {
  test.each([
    ['plain', 'plain'],
    ['', '""'],
    ['two words', '"two words"'],
    ['tab\there', '"tab\there"'],
    ['line\nbreak', '"line\nbreak"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['"', '"\\""'],
    ['C:\\folder\\', 'C:\\folder\\'],
    ['C:\\my folder\\', '"C:\\my folder\\\\"'],
    ['back\\"slash', '"back\\\\\\"slash"'],
    ['a\\\\b c', '"a\\\\b c"'],
    ['ends in two\\\\', '"ends in two\\\\\\\\"'],
    ['--option=ä ß', '"--option=ä ß"'],
    ['%PATH%^&|<>', '%PATH%^&|<>'],
  ])('%j: %s', (argument, quoted) => {
    expect(quoteArgument(argument)).toBe(quoted);
    expect(parseCommandLine(buildCommandLine('C:\\a b.exe', [argument]))).toEqual(['C:\\a b.exe', argument]);
  });
});

test('any arguments are taken apart into the same ones', () => {
  const random = seededRandom(0xc0de);
  const alphabet = ['\\', '\\', '"', '"', ' ', '\t', 'a', 'ü', '\\"', '\\\\'];
  for (let round = 0; round < 5_000; round++) {
    const args = Array.from({ length: random.below(5) }, () =>
      Array.from({ length: random.below(8) }, () => alphabet[random.below(alphabet.length)]).join(''),
    );
    const line = buildCommandLine('C:\\program.exe', args);
    expect(parseCommandLine(line), line).toEqual(['C:\\program.exe', ...args]);
  }
});
