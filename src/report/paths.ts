/** The last part of a path of either kind. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1);
}

/**
 * The path from a directory to a file below it, or the whole path. Windows compares names without case, and takes both
 * slashes.
 */
export function relativePath(file: string, directory: string | undefined): string {
  if (directory === undefined || directory === '') return file;
  const base = fold(directory).replace(/\/+$/, '');
  return fold(file).startsWith(`${base}/`) ? file.slice(base.length + 1) : file;
}

function fold(path: string): string {
  // ASCII only: a full lower-casing may change the length, and with it the place to cut.
  return path.replace(/[A-Z\\]/g, (character) => (character === '\\' ? '/' : character.toLowerCase()));
}
