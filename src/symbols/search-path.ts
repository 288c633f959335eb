/** The parts of a symbol path. */
interface SymbolPathParts {
  /** Directories, in their order; without the caches of servers, which dbghelp makes when it needs them. */
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
    // cache*C:\symbols is where dbghelp keeps the files of a server.
  }
  return { directories, servers };
}
