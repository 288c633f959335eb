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
