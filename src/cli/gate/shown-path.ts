import { win32 } from 'node:path';

import { readHost } from '../../wine/host.ts';
import { toUnixPath } from '../../wine/paths.ts';

/** A path for a person: of the host, and relative to the working directory where that is shorter. */
export function showPath(path: string): string {
  const relative = win32.isAbsolute(path) ? win32.relative(process.cwd(), path) : path;
  const isShorter = relative !== '' && relative.length < path.length && !win32.isAbsolute(relative);
  const shown = isShorter ? relative : path;
  return readHost(process.env) === undefined ? shown : (toUnixPath(shown) ?? shown.replaceAll('\\', '/'));
}
