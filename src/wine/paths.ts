/**
 * Turns a path of Linux or Windows into one that Windows understands under Wine. An absolute Unix path is on drive Z:,
 * which Wine maps to `/`. A Windows path and a relative path of either kind stay the same: Windows takes `/` as a
 * separator, and the working directory is the same on both sides.
 *
 * `//server/share` stays too: to Windows it is a UNC path, and no shell makes a Unix path begin like that.
 */
export function toWindowsPath(path: string): string {
  if (!path.startsWith('/') || path.startsWith('//')) return path;
  return `Z:${path.replaceAll('/', '\\')}`;
}

/** The Linux path of a path on drive Z:; undefined for every other one. */
export function toUnixPath(path: string): string | undefined {
  const match = /^(?:\\\\\?\\)?[Zz]:[\\/](.*)$/s.exec(path);
  return match ? `/${match[1]!.replaceAll('\\', '/')}` : undefined;
}

/**
 * A symbol path (directories between semicolons, and stores between stars) with its Linux directories turned into those
 * of Windows.
 */
export function toWindowsSymbolPath(path: string): string {
  return path.replace(/[^;*]+/g, toWindowsPath);
}
