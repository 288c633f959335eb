import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { cacheDirectory } from '../../../launcher/cache.js';
import { killProcesses } from '../../../launcher/processes.js';

/**
 * A home for the suite that calls this: the same packages, and a Wine prefix that no other test sees. It is made by the
 * first launch, and removed after the suite.
 *
 * @returns {string}
 */
export function makeHome() {
  const home = mkdtempSync(join(tmpdir(), 'unclosed-home-'));
  if (process.platform !== 'win32') symlinkSync(join(cacheDirectory(process.env), 'packages'), join(home, 'packages'));
  after(() => {
    for (const prefix of prefixesIn(home)) killProcesses(`WINEPREFIX=${prefix}`);
    rmSync(home, { recursive: true, maxRetries: 10, retryDelay: 500 });
  });
  return home;
}

/**
 * @param {string} home
 * @returns {string[]}
 */
export function prefixesIn(home) {
  const prefixes = join(home, 'prefixes');
  return existsSync(prefixes) ? readdirSync(prefixes).map((name) => join(prefixes, name)) : [];
}
