import { closeSync, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { win32 } from 'node:path';

import { GetDriveTypeW } from '../ffi/kernel32.ts';

/** Which files that a target names may be opened. */
interface TargetFileOptions {
  /** A larger file is not opened; nor is an empty one. */
  readonly sizeBytesMax: number;
  /**
   * Paths that the user gave, such as the audited program's. A network drive or share is asked for a file only if one
   * of these paths, or the working directory, lies on it: the user has chosen that machine.
   */
  readonly userPaths?: readonly string[];
}

/**
 * Opens a file for reading whose path comes from a target, from debug information or from an executable file.
 *
 * Such a path may say anything. So this opens regular files on disks only: no pipe or device, which may block for ever
 * or never end, and no alternate stream. It asks no machine that the user has not chosen. A link on a local disk is
 * followed.
 *
 * @returns a file descriptor, to be closed by the caller; `undefined` where there is no such file, or none of that kind
 */
export function openTargetFile(path: string, { sizeBytesMax, userPaths }: TargetFileOptions): number | undefined {
  const plain = toTargetFilePath(path, userPaths);
  if (plain === undefined) return undefined;
  // Linux shows its /proc to Wine as regular files without a size, which may block or never end, too.
  const isWanted = (stats: Stats): boolean => stats.isFile() && stats.size > 0 && stats.size <= sizeBytesMax;
  let opened: number | undefined;
  try {
    // The question comes before the opening, because the opening of a pipe may block; it comes again afterwards,
    // because another file may have taken the name meanwhile.
    if (!isWanted(statSync(plain))) return undefined;
    opened = openSync(plain, 'r');
    if (isWanted(fstatSync(opened))) return opened;
  } catch {
    // It is missing, or this account may not read it. To the caller that is the same.
  }
  if (opened !== undefined) closeSync(opened);
  return undefined;
}

/** The answers of the system that {@link toTargetFilePath} needs; tests give their own. */
interface PathContext {
  readonly workingDirectory: string;
  /** @param root of a drive, such as `C:\` */
  readonly isNetworkDrive: (root: string) => boolean;
}

/**
 * A path from a target as one to open: absolute, without the prefixes `\\?\` and `\??\`. Nothing is opened for that.
 *
 * @returns `undefined` for the path of a device, pipe or alternate stream, and for one on a network drive or share
 *   unless the working directory or one of `userPaths` is on it
 */
export function toTargetFilePath(
  path: string,
  userPaths: readonly string[] = [],
  { workingDirectory, isNetworkDrive }: PathContext = thisProcess,
): string | undefined {
  const resolve = (each: string): string => win32.resolve(workingDirectory, withoutPrefix(each));
  const plain = resolve(path);
  const { root } = win32.parse(plain);
  if (/^\\\\[.?]\\/.test(plain)) return undefined; // \\.\pipe\x, \\?\GLOBALROOT\x: the name space of devices
  const names = plain.slice(root.length).split('\\');
  if (names.some((name) => FORBIDDEN.test(name)) || DEVICE.test(names.at(-1)!)) return undefined;
  const isDrive = /^[a-z]:\\$/i.test(root);
  if (isDrive && !isNetworkDrive(root)) return plain;
  const isOnChosenRoot = [workingDirectory, ...userPaths].some(
    (each) => win32.parse(resolve(each)).root.toLowerCase() === root.toLowerCase(),
  );
  return isOnChosenRoot ? plain : undefined;
}

/** `\\?\C:\x` and `\??\C:\x` are `C:\x`, and `\\?\UNC\host\share\x` is `\\host\share\x`. */
function withoutPrefix(path: string): string {
  return path.replace(/^(?:\\\\|\\\?)\?\\(?:(?=[a-z]:[\\/])|UNC(?=\\))/i, (prefix) => (/C$/i.test(prefix) ? '\\' : ''));
}

/**
 * Whether a text is the plain name of a file, which means one place in any directory: no path, device or alternate
 * stream, and none that Windows shortens.
 */
export function isPlainFileName(name: string): boolean {
  const isOrdinary = name.length > 0 && name.length <= NAME_LENGTH_MAX && !/[\\/]|[. ]$/.test(name);
  return isOrdinary && !FORBIDDEN.test(name) && !DEVICE.test(name);
}

const NAME_LENGTH_MAX = 255;

/**
 * The characters that no file's name holds: a colon begins the name of an alternate stream.
 *
 * https://learn.microsoft.com/windows/win32/fileio/naming-a-file
 */
const FORBIDDEN = /[\0-\x1f<>:"|?*]/;

/** Names that mean a device in every directory, with any extension: `NUL`, `con.txt`, `COM1 .c`. */
const DEVICE = /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/i;

/** https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getdrivetypew */
const DRIVE_REMOTE = 4;

const networkDrives = new Map<string, boolean>();

const thisProcess: PathContext = {
  get workingDirectory() {
    return process.cwd();
  },
  isNetworkDrive(root) {
    let isNetwork = networkDrives.get(root);
    if (isNetwork === undefined) networkDrives.set(root, (isNetwork = GetDriveTypeW(root) === DRIVE_REMOTE));
    return isNetwork;
  },
};
