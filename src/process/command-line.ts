/**
 * One command line from separate arguments, which the target's C runtime splits into the same arguments.
 *
 * https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
 */
export function buildCommandLine(program: string, args: readonly string[]): string {
  return [`"${program}"`, ...args.map(quoteArgument)].join(' ');
}

/** One argument as it must stand in a command line: quoted if needed, backslashes doubled before quotes only. */
export function quoteArgument(argument: string): string {
  if (argument !== '' && !/[\s"]/.test(argument)) return argument;
  const escaped = argument.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1');
  return `"${escaped}"`;
}

/** A command line with more arguments, before its own. */
export function insertArguments(line: string, args: readonly string[]): string {
  const [program, quoted, end] = /^(?:"([^"]*)("?)|\S*)/.exec(line) ?? [''];
  const closed = quoted !== undefined && end === '' ? `${program}"` : program;
  return [closed, ...args.map(quoteArgument)].join(' ') + line.slice(program.length);
}

/**
 * The arguments that a command line stands for, the program first, as a C runtime splits it.
 *
 * https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
 */
export function parseCommandLine(line: string): readonly string[] {
  const [whole, quoted, plain] = /^(?:"([^"]*)"?|(\S*))/.exec(line) ?? [''];
  const rest = line.slice(whole.length).trimStart();
  const args: string[] = [];
  let argument: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < rest.length; ) {
    const [run, backslashes = '', quote] = /^(\\*)("?)/.exec(rest.slice(at)) ?? ['', '', ''];
    if (quote === '"') {
      at += run.length;
      // Backslashes mean themselves unless a quote follows: then two are one, and an odd one makes it a plain quote.
      argument = `${argument ?? ''}${'\\'.repeat(backslashes.length >> 1)}`;
      if (backslashes.length % 2 === 1) argument += '"';
      else if (isQuoted && rest[at] === '"') {
        argument += '"'; // two quotes within a quoted part are one that is meant
        at++;
      } else isQuoted = !isQuoted;
    } else if (backslashes !== '') {
      at += backslashes.length;
      argument = `${argument ?? ''}${backslashes}`;
    } else {
      const character = rest[at++]!;
      if (isQuoted || !/\s/.test(character)) argument = `${argument ?? ''}${character}`;
      else if (argument !== undefined) {
        args.push(argument);
        argument = undefined;
      }
    }
  }
  if (argument !== undefined) args.push(argument);
  return [quoted ?? plain ?? '', ...args];
}
