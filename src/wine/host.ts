/** The environment variable by which the launcher on Linux passes the {@link Host} to the Windows side. */
export const hostVariable = 'UNCLOSED_HOST';

/** A terminal that an output stream of the tool goes to. */
export interface Terminal {
  /** Width in characters, when the tool was started. */
  readonly columns: number;
  /** Bits of colour as Node.js counts them, by TERM and the like, not by NO_COLOR and FORCE_COLOR: 1, 4, 8 or 24. */
  readonly colorDepth: number;
  /**
   * A file by which to write to the terminal past Wine's console, which breaks coloured lines at the wrong column
   * and garbles what is not ASCII. Absent where the terminal has no name.
   */
  readonly path?: string;
}

/** Facts about the Linux machine that the Windows side cannot see by itself. */
export interface Host {
  /** Wine's own name of its version: `wine-8.0 (Debian 8.0~repack-4)`. */
  readonly wine: string;
  /** Absent when stdout is not a terminal. */
  readonly stdout?: Terminal;
  /** Absent when stderr is not a terminal. */
  readonly stderr?: Terminal;
  /** Directory that holds `koffi/win32_x64/koffi.node`; absent when koffi's own package for Windows is installed. */
  readonly nativeModules?: string;
  /** Differs from launch to launch; the launcher finds what a launch left running by it. */
  readonly launch: string;
  /**
   * A file by which the tool tells the launcher how it ends: see {@link sayVerdict}. Absent for the programs that the
   * tool starts.
   */
  readonly verdict?: string;
}

/**
 * The host as the launcher described it; undefined on Microsoft's Windows, and for a Node.js that was started
 * under Wine without the launcher.
 *
 * @throws Error when the variable holds something else
 */
export function readHost(environment: Readonly<Record<string, string | undefined>>): Host | undefined {
  const text = environment[hostVariable];
  if (text === undefined || text === '') return undefined;
  let host: unknown;
  try {
    host = JSON.parse(text);
  } catch {
    host = undefined;
  }
  if (typeof host === 'object' && host !== null && 'wine' in host && typeof host.wine === 'string') return host as Host;
  throw new Error(
    `Cannot read ${hostVariable}: not what the launcher writes. Try without ${hostVariable} in the environment.`,
  );
}
