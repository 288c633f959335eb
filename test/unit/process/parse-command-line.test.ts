import { describe, expect, it } from 'vitest';

import { buildCommandLine, insertArguments, parseCommandLine } from '../../../src/process/command-line.ts';

describe('a command line', () => {
  it.each([
    ['', ['']],
    ['app.exe', ['app.exe']],
    ['app.exe one  two', ['app.exe', 'one', 'two']],
    ['"C:\\my app\\app.exe" "two words"', ['C:\\my app\\app.exe', 'two words']],
    ['a ""', ['a', '']],
    ['a "b\\\\" c', ['a', 'b\\', 'c']],
    ['a b\\\\c', ['a', 'b\\\\c']],
    ['a \\"b\\"', ['a', '"b"']],
    ['a "say ""hi"""', ['a', 'say "hi"']],
    ['a b"c d"e', ['a', 'bc de']],
    ['a "open', ['a', 'open']],
    ['"a', ['a']],
  ])('%j is %j', (line, args) => {
    expect(parseCommandLine(line)).toEqual(args);
    const more = ['--flag', 'C:\\two words\\'];
    expect(parseCommandLine(insertArguments(line, more))).toEqual([args[0], ...more, ...args.slice(1)]);
  });

  it('means the arguments that it was built of', () => {
    const all = [['plain', '', 'two words', 'tab\there'], ['say "hi"', '"', '\\"', '\\\\', 'C:\\folder\\'], ['%PATH%']];
    for (const args of all)
      expect(parseCommandLine(buildCommandLine('C:\\x y.exe', args))).toEqual(['C:\\x y.exe', ...args]);
  });
});
