import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { toUnixPath } from '../../../src/wine/paths.ts';
import { HANG_MS } from '../../hang.ts';

/**
 * Runs a line of a Linux shell, in which $1 is a path on drive Z:, and resolves when it has come out well. Wine's
 * `start` runs programs of Linux, but does not wait for them, and its exit code says nothing.
 *
 * @throws Error when it does not come out well
 */
export async function runOnLinux(line: string, path: string): Promise<void> {
  const directory = mkdtempSync('Z:\\tmp\\unclosed-linux-');
  try {
    const [script, done] = [join(directory, 'script.sh'), join(directory, 'done')];
    writeFileSync(script, `${line} && : >"$2"\n`);
    const args = [script, path, done].map((each) => toUnixPath(each)!);
    spawnSync('start.exe', ['/unix', '/bin/sh', ...args]);
    for (const end = Date.now() + HANG_MS; !existsSync(done); await sleep(10))
      if (Date.now() > end) throw new Error(`Linux did not say that it has done this: ${line}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
