/** Why a file cannot be read or written, and what to try: parts of an error's sentence. */
export function explainFileFailure(error: unknown): { readonly why: string; readonly advice: string } {
  const { code = String(error) } = error as NodeJS.ErrnoException;
  const [why, advice] = reasons[code] ?? [code, 'another file'];
  return { why, advice };
}

const reasons: Readonly<Record<string, readonly [why: string, advice: string]>> = {
  ENOENT: ['there is no such directory (ENOENT)', 'making it first, or another file'],
  ENOTDIR: ['a part of the path is no directory (ENOTDIR)', 'another file'],
  EISDIR: ['it is a directory (EISDIR)', 'the name of a file in it'],
  EACCES: ['access is denied (EACCES)', 'another file'],
  EPERM: ['access is denied (EPERM)', 'another file'],
  EROFS: ['the file system is read-only (EROFS)', 'another file'],
  ENOSPC: ['the disk is full (ENOSPC)', 'another disk'],
};
