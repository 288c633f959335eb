import { spawnSync } from 'node:child_process';

/** The command that installs mingw's gcc and g++ on Windows. */
export const wingetCommand = 'winget install BrechtSanders.WinLibs.POSIX.UCRT';

/**
 * Whether programs can be compiled here. On Linux the set-up installs the compilers; on Windows the user may have them.
 *
 * @returns {boolean}
 */
export function hasCompiler() {
  if (process.platform !== 'win32') return true;
  return ['x86_64-w64-mingw32-gcc', 'gcc'].some((name) => {
    const { stdout, status } = spawnSync(name, ['-dumpmachine'], { encoding: 'utf8' });
    return status === 0 && stdout.startsWith('x86_64-w64-mingw32');
  });
}
