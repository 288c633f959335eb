/** The drives and the user that {@link displayName} translates kernel names with. */
export interface NameContext {
  /** The device of each drive letter: `C:` -> `\Device\HarddiskVolume3`. */
  readonly drives: ReadonlyMap<string, string>;
  /** The key of the user of this process, `\REGISTRY\USER\S-1-5-21-…`: HKEY_CURRENT_USER stands for it. */
  readonly currentUserKey?: string | undefined;
}

/**
 * The form of a kernel object's name that a person would type: `C:\…` for a file, `HKLM\…` for a key, `\\.\pipe\…` for
 * a pipe. A name that has no such form, as `\BaseNamedObjects\…` has not, is returned as it is.
 *
 * The name may hold any character: escape it where it is shown.
 *
 * @param type the kernel's type name
 */
export function displayName(type: string, kernelName: string, context: NameContext): string {
  if (type === 'Key') return displayKeyName(kernelName, context.currentUserKey);
  if (type === 'File' || type === 'Device') return displayFileName(kernelName, context.drives);
  return kernelName;
}

function displayFileName(name: string, drives: ReadonlyMap<string, string>): string {
  // Wine names a file by its path in the \??\ directory: \??\C:\…, and \??\unix\… outside of all drives.
  const dosPath = afterPrefix(name, '\\??\\');
  if (dosPath !== undefined) return /^[a-z]:/i.test(dosPath) ? dosPath : `\\\\?\\${dosPath}`;

  const network = afterPrefix(name, '\\Device\\Mup\\') ?? afterPrefix(name, '\\Device\\LanmanRedirector\\');
  // A mapped drive shows as \Device\Mup\;LanmanRedirector\;Z:0000000000012345\server\share\…
  if (network !== undefined) return `\\\\${network.replace(/^(?:;[^\\]*\\)+/, '')}`;
  for (const [device, path] of [
    ['\\Device\\NamedPipe', '\\\\.\\pipe'],
    ['\\Device\\Mailslot', '\\\\.\\mailslot'],
  ] as const) {
    if (isAtOrUnder(name, device)) return path + name.slice(device.length);
  }
  if (name.toLowerCase() === '\\device\\null') return 'NUL';
  for (const [drive, device] of drives) {
    if (isAtOrUnder(name, device)) return name.length === device.length ? drive : drive + name.slice(device.length);
  }
  return name;
}

function displayKeyName(name: string, currentUserKey: string | undefined): string {
  if (currentUserKey !== undefined && isAtOrUnder(name, currentUserKey)) {
    return `HKCU${name.slice(currentUserKey.length)}`;
  }
  // The user's classes are a hive of their own, mounted beside the user's key.
  const userClasses = `${currentUserKey}_Classes`;
  if (currentUserKey !== undefined && isAtOrUnder(name, userClasses)) {
    return `HKCU\\Software\\Classes${name.slice(userClasses.length)}`;
  }
  for (const [root, short] of [
    ['\\REGISTRY\\MACHINE', 'HKLM'],
    ['\\REGISTRY\\USER', 'HKU'],
  ] as const) {
    if (isAtOrUnder(name, root)) return short + name.slice(root.length);
  }
  return name;
}

/**
 * Kernel names do not distinguish case here, and `\Device\HarddiskVolume1` is no parent of `\Device\HarddiskVolume10`.
 */
function isAtOrUnder(name: string, parent: string): boolean {
  if (parent.length === 0 || name.slice(0, parent.length).toLowerCase() !== parent.toLowerCase()) return false;
  return name.length === parent.length || name[parent.length] === '\\';
}

function afterPrefix(name: string, prefix: string): string | undefined {
  return name.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase() ? name.slice(prefix.length) : undefined;
}
