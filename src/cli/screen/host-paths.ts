import type { ReportOptions } from '../../report/index.ts';
import { readHost } from '../../wine/host.ts';
import { toUnixPath } from '../../wine/paths.ts';

/** How the paths of sources are shown: relative to the working directory, and on Linux as Linux has them. */
export function sourcePathOptions(): Pick<ReportOptions, 'baseDirectory' | 'showSourcePath'> {
  return { baseDirectory: process.cwd(), ...(isOnLinux() ? { showSourcePath: toHostPath } : {}) };
}

/** Whether the tool was started on Linux, and runs under Wine. */
export function isOnLinux(): boolean {
  return readHost(process.env) !== undefined;
}

/** On Linux a click in a terminal opens `src/app.c:12`, but not `src\app.c`. */
export function toHostPath(path: string): string {
  return toUnixPath(path) ?? path.replaceAll('\\', '/');
}
