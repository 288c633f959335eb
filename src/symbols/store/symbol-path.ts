/** A place where PDB files are looked for. */
export type SymbolPlace =
  /** A directory with the files themselves. */
  | { readonly kind: 'directory'; readonly path: string }
  /** Directories in the layout of a symbol server, the nearest first, and the server behind them. */
  | { readonly kind: 'store'; readonly directories: readonly string[]; readonly server?: string };

/** Where files of a server are kept if the symbol path names no directory for them: `srv**https://server`. */
const NO_DIRECTORY = '';

/**
 * Takes a symbol path apart as Windows' debuggers do: `C:\pdb;srv*C:\cache*https://server;cache*C:\c`.
 *
 * @param defaultCache the directory for the files of servers that have none of their own
 * @see https://learn.microsoft.com/windows/win32/debug/using-symsrv
 */
export function parseSymbolPath(path: string, defaultCache: string): readonly SymbolPlace[] {
  const places: SymbolPlace[] = [];
  // cache*C:\c is a cache for all that stand behind it.
  let caches: readonly string[] = [];
  for (const element of path.split(';').map((each) => each.trim())) {
    if (element === '') continue;
    const [kind = '', ...parts] = element.split('*').map((each) => each.trim());
    if (parts.length === 0) {
      places.push(
        isServer(element) ? toStore([...caches, element], defaultCache) : { kind: 'directory', path: element },
      );
    } else if (/^cache$/i.test(kind)) {
      const directory = parts[0] || defaultCache;
      caches = [directory];
      places.push({ kind: 'store', directories: caches });
    } else if (/^(?:srv|symsrv)$/i.test(kind)) {
      // symsrv*symsrv.dll*… names the library that asks: here it is always this tool.
      const stores = /^symsrv$/i.test(kind) ? parts.slice(1) : parts;
      if (stores.length > 0) places.push(toStore([...caches, ...stores], defaultCache));
    }
  }
  return places;
}

function toStore(stores: readonly string[], defaultCache: string): SymbolPlace {
  const server = stores.findLast(isServer);
  const directories = stores
    .filter((each) => !isServer(each))
    .map((each) => (each === NO_DIRECTORY ? defaultCache : each));
  if (server === undefined) return { kind: 'store', directories };
  return { kind: 'store', directories: directories.length === 0 ? [defaultCache] : directories, server };
}

function isServer(store: string): boolean {
  return /^[a-z][a-z\d+.-]+:\/\//i.test(store);
}
