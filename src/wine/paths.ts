/**
 * A path as the user typed it on Linux or Windows, as Windows takes it under Wine: an absolute Unix path is on
 * drive Z:, which Wine maps to `/`; a Windows path and a relative path of either kind stay what they are, for
 * Windows takes `/` as a separator and the working directory is the same on both sides.
 *
 * `//server/share` stays too: to Windows it is a UNC path, and no shell makes a Unix path begin like that.
 */
export function toWindowsPath(path: string): string {
  if (!path.startsWith('/') || path.startsWith('//')) return path;
  return `Z:${path.replaceAll('/', '\\')}`;
}

/** A path on drive Z: as Linux takes it; undefined for every other one. */
export function toUnixPath(path: string): string | undefined {
  const match = /^(?:\\\\\?\\)?[Zz]:[\\/](.*)$/s.exec(path);
  return match ? `/${match[1]!.replaceAll('\\', '/')}` : undefined;
}

/** A symbol path, whose directories stand between semicolons, with those of Linux as Windows programs take them. */
export function toWindowsSymbolPath(path: string): string {
  return path.split(';').map(toWindowsPath).join(';');
}
