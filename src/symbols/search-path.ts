/** The parts of a symbol path. */
interface SymbolPathParts {
  /** Directories, in their order; caches of servers are none of them, for they are made when they are needed. */
  readonly directories: readonly string[];
  /** Addresses or shares of symbol servers. */
  readonly servers: readonly string[];
}

/**
 * Takes a symbol path apart as dbghelp does: `C:\pdb;srv*C:\cache*https://server;cache*C:\c`.
 *
 * https://learn.microsoft.com/windows/win32/debug/using-symsrv
 */
export function splitSymbolPath(path: string): SymbolPathParts {
  const directories: string[] = [];
  const servers: string[] = [];
  for (const element of path.split(';').map((each) => each.trim())) {
    if (element === '') continue;
    const [kind = '', ...parts] = element.split('*');
    if (parts.length === 0) directories.push(element);
    else if (/^(?:srv|symsrv)$/i.test(kind)) servers.push(parts.findLast((part) => part !== '') ?? element);
    // cache*C:\symbols is where what a server gave is kept.
  }
  return { directories, servers };
}
