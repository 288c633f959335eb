import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { release, version } from 'node:os';
import { delimiter, join } from 'node:path';

import type { Host } from '../wine/host.ts';

/** How well something works on this machine: fully, in part, or not at all. */
export type CheckStatus = 'ok' | 'limited' | 'missing';

/** One line of `unclosed doctor`. */
export interface Check {
  /** The subject of the check in a word or two. Machines may rely on it. */
  readonly name: string;
  readonly status: CheckStatus;
  /** The finding as a clause for a person. */
  readonly detail: string;
  /** The remedy, as the rest of a sentence that begins with "Try". */
  readonly advice?: string;
  /** `unclosed run` cannot work without it. */
  readonly needed?: true;
}

/** The environment in which the checks run. */
interface DoctorContext {
  /** The Linux machine, where there is one. */
  readonly host: Host | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `--symbols`, if it was given. */
  readonly symbolPath: string | undefined;
}

/**
 * One check. If it throws, its subject is missing. It imports the modules that it checks, because that may be what
 * fails.
 */
interface Examination {
  readonly name: string;
  readonly needed?: true;
  examine(context: DoctorContext): Promise<Omit<Check, 'name' | 'needed'>>;
  /** The remedy where {@link examine} throws. */
  readonly advice: string;
}

const OLDEST_NODE_MAJOR = 22;
const TRIAL_TIMEOUT_MS = 30_000;
/** How long a running program is recorded. */
const TRIAL_LENGTH_MS = 100;
const STATUS_PRIVILEGE_NOT_HELD = 0xc000_0061;

const examinations: readonly Examination[] = [
  { name: 'node', needed: true, examine: examineNode, advice: 'Node.js 22 for Windows x64' },
  { name: 'system', examine: examineSystem, advice: 'Windows 10 or later, or Wine 8 or later' },
  { name: 'processor', needed: true, examine: examineProcessor, advice: 'an x64 machine' },
  { name: 'application control', examine: examineApplicationControl, advice: 'again' },
  {
    name: 'native calls',
    needed: true,
    examine: examineNativeCalls,
    advice: 'to install unclosed again, with optional dependencies: koffi’s binary for Windows is one',
  },
  {
    name: 'recording',
    needed: true,
    examine: examineRecording,
    advice:
      'again without software that hooks ntdll, as security products do, or with an account that may start programs',
  },
  {
    name: 'attaching',
    examine: examineAttaching,
    advice: 'again without software that guards the memory of processes, as security products do',
  },
  {
    name: 'names',
    examine: examineNames,
    advice: 'again, or without software that keeps one Node.js from starting another, as security products may',
  },
  { name: 'privileges', examine: examinePrivileges, advice: 'an elevated terminal' },
  { name: 'PDB', examine: examinePdb, advice: 'a build with /Zi and /DEBUG, or -gcodeview' },
  { name: 'symbol path', examine: examineSymbolPath, advice: 'another --symbols or _NT_SYMBOL_PATH' },
  { name: 'DWARF', examine: examineDwarf, advice: 'a build with -g' },
  { name: 'demangling', examine: examineDemangling, advice: 'to report this on the project’s page' },
];

/** Makes all checks, in the order in which they are shown. Never rejects. */
export async function examineAll(context: DoctorContext): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const { name, needed, examine, advice } of examinations) {
    const found = await examine(context).catch(
      (error: unknown): Omit<Check, 'name'> => ({ status: 'missing', detail: spellError(error), advice }),
    );
    checks.push({ name, ...found, ...(needed ? { needed } : {}) });
  }
  return checks;
}

/** Whether `unclosed run` can be expected to work. */
export function canRun(checks: readonly Check[]): boolean {
  return checks.every(({ needed, status }) => needed !== true || status !== 'missing');
}

/** The first sentence of an error: our errors end with advice, and the check has its own. */
function spellError(error: unknown): string {
  return (error instanceof Error ? error.message : String(error))
    .replace(/\s+Try .*$/s, '')
    .replace(/\s+/g, ' ')
    .replace(/\.$/, '');
}

async function examineNode(): Promise<Omit<Check, 'name'>> {
  const detail = `Node.js ${process.versions.node} for ${process.platform} ${process.arch}`;
  if (process.platform !== 'win32' || process.arch !== 'x64')
    return {
      status: 'missing',
      detail,
      advice: 'Node.js for Windows x64: only x64 programs can be audited',
    };
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE_MAJOR)
    return { status: 'missing', detail, advice: `Node.js ${OLDEST_NODE_MAJOR} or later` };
  return { status: 'ok', detail };
}

async function examineSystem({ host }: DoctorContext): Promise<Omit<Check, 'name'>> {
  const { isWine } = await import('../ffi/ntdll.ts');
  const windows = `${version()} (${release()})`;
  if (!isWine) return { status: 'ok', detail: windows };
  const wine = host?.wine ?? 'a Wine that unclosed did not start';
  // Wine may keep other handles open than Windows: findings are about the program as Wine runs it.
  return {
    status: 'ok',
    detail: `${wine}, which says it is ${windows}: programs behave as they do under Wine, which may differ from Windows`,
  };
}

/** An x64 Node.js runs on Windows for ARM64, too, but its ntdll has other code. */
async function examineProcessor(): Promise<Omit<Check, 'name'>> {
  const { nativeMachine } = await import('../process/machine/machine.ts');
  const machine = nativeMachine();
  if (machine === 'ARM64')
    return {
      status: 'missing',
      detail: 'this is Windows for ARM64, which emulates x64: nothing can be recorded',
      advice: 'an x64 machine',
    };
  return { status: 'ok', detail: machine === undefined ? 'Windows does not say which' : `Windows for ${machine}` };
}

async function examineApplicationControl(): Promise<Omit<Check, 'name'>> {
  const control = await import('../process/machine/application-control.ts');
  const detail = control.spellApplicationControl();
  if (!control.isSmartAppControlEnforced()) return { status: 'ok', detail };
  return {
    status: 'limited',
    detail: `${detail}: it has let koffi pass, whose binary is not signed, and may refuse it or your own programs another time`,
    advice: 'a machine for development if that happens, for Smart App Control has no exceptions for single files',
  };
}

async function examineNativeCalls(): Promise<Omit<Check, 'name'>> {
  const { koffiVersion } = await import('../ffi/library.ts');
  const { GetCurrentProcessId } = await import('../ffi/kernel32.ts');
  if (GetCurrentProcessId() !== process.pid) throw new Error('kernel32 answers another process id than Node.js');
  return { status: 'ok', detail: `koffi ${koffiVersion} calls kernel32 and ntdll` };
}

/** Records a program that every Windows has, from its first instruction to its last. */
async function examineRecording({ environment }: DoctorContext): Promise<Omit<Check, 'name'>> {
  const { audit, spellGap } = await import('../audit/index.ts');
  const started = performance.now();
  const report = await audit({
    program: trialProgram(environment),
    args: ['/d', '/c', 'exit', '7'],
    signal: AbortSignal.timeout(TRIAL_TIMEOUT_MS),
  });
  const { stats, target, completeness } = report;
  if (target.exitCode !== 7)
    throw new Error(`the trial, ${target.command[0]}, ended with ${target.exitCode} and not with 7`);
  if (stats.hookedCalls === 0 || stats.opens === 0)
    throw new Error(`the recorder saw nothing of the trial, ${target.command[0]}`);
  const detail =
    `a trial with cmd.exe, ${((performance.now() - started) / 1000).toFixed(1)} s: ${stats.hookedCalls} system calls hooked, ` +
    `${stats.opens} handles opened and ${stats.closes} closed, from ${stats.distinctStacks} places`;
  if (completeness.complete) return { status: 'ok', detail };
  return {
    status: 'limited',
    detail: `${detail}; not everything was recorded: ${completeness.gaps.slice(0, 1).map(spellGap).join()}`,
    advice: 'again without software that hooks ntdll, as security products do',
  };
}

/** Attaches to a program that waits for input, and lets it go on to its end. */
async function examineAttaching({ environment }: DoctorContext): Promise<Omit<Check, 'name'>> {
  const { attach } = await import('../audit/index.ts');
  const { findProcess } = await import('../process/processes.ts');
  const trial = spawn(trialProgram(environment), ['/d', '/q'], { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    await once(trial, 'spawn');
    const timeout = AbortSignal.timeout(TRIAL_TIMEOUT_MS);
    // A trial that the recorder has brought to a halt must not hold up the command for ever.
    const ended = once(trial, 'exit', { signal: timeout });
    ended.catch(() => {}); // the attach may fail before
    let stoodMs = 0;
    const report = await attach({
      processes: [findProcess(String(trial.pid))],
      forMs: TRIAL_LENGTH_MS,
      onAttached: (_process, standingMs) => {
        stoodMs = standingMs;
        trial.stdin.write('rem\r\n');
      },
      signal: timeout,
    });
    trial.stdin.end('exit 7\r\n');
    const [exitCode] = await ended.catch(() => {
      throw new Error('the trial came to a halt after it was recorded');
    });
    if (exitCode !== 7)
      throw new Error(`the trial, ${report.target.command[0]}, ended with ${exitCode} and not with 7`);
    if (report.stats.hookedCalls === 0) throw new Error('no system call of the trial could be hooked');
    return {
      status: 'ok',
      detail: `a trial with cmd.exe, which stood still for ${Math.ceil(stoodMs)} ms, was recorded, and ran on to its end`,
    };
  } finally {
    trial.kill();
  }
}

function trialProgram(environment: DoctorContext['environment']): string {
  return join(environment['SystemRoot'] ?? 'C:\\Windows', 'System32', 'cmd.exe');
}

async function examineNames(): Promise<Omit<Check, 'name'>> {
  const { isWine } = await import('../ffi/ntdll.ts');
  const { QueryHelper } = await import('../handles/query/query-helper.ts');
  using helper = new QueryHelper();
  const started = performance.now();
  // Any value will do: the check is that the helper starts and answers.
  const answers = await helper.ask([{ processId: process.pid, value: 4n }]);
  const tookMs = Math.round(performance.now() - started);
  if (answers.length !== 1 || helper.processId === undefined)
    throw new Error('the helper process that asks for names did not answer');
  if (isWine)
    return {
      status: 'ok',
      detail: `under Wine no question for a name can block, so the helper process is not needed; it answers, too (${tookMs} ms)`,
    };
  return {
    status: 'ok',
    detail: `on Windows a question for the name of a file may block, so a helper process asks, and is ended in time (it answered in ${tookMs} ms)`,
  };
}

async function examinePrivileges(): Promise<Omit<Check, 'name'>> {
  const { enableDebugPrivilege, isElevated } = await import('../process/elevation.ts');
  const status = enableDebugPrivilege();
  const elevation = isElevated() ? 'elevated' : 'not elevated';
  if (status === 0)
    return {
      status: 'ok',
      detail: `${elevation}, SeDebugPrivilege is held: the handles of other accounts’ processes can be read`,
    };
  const why = status === STATUS_PRIVILEGE_NOT_HELD ? 'is not held' : `is refused (NTSTATUS 0x${status.toString(16)})`;
  return {
    status: 'limited',
    detail: `${elevation}, SeDebugPrivilege ${why}: your own programs can be audited, but the handles of services and other accounts cannot be read`,
    advice: 'an elevated terminal to read them',
  };
}

/** Nothing is needed for it; users who know other tools look for it here. */
async function examinePdb(): Promise<Omit<Check, 'name'>> {
  return { status: 'ok', detail: 'unclosed itself reads functions, lines and inlined functions from PDB files' };
}

async function examineSymbolPath({ symbolPath, environment }: DoctorContext): Promise<Omit<Check, 'name'>> {
  const { isWine } = await import('../ffi/ntdll.ts');
  const { defaultSymbolCache } = await import('../symbols/store/pdb-locator.ts');
  const { parseSymbolPath } = await import('../symbols/store/symbol-path.ts');
  const path = symbolPath ?? environment['_NT_SYMBOL_PATH'];
  if (path === undefined || path === '') {
    const detail =
      'none is set: PDB files are looked for beside the program and where the linker wrote them; functions of Windows have the names that its DLLs export';
    if (isWine) return { status: 'ok', detail };
    return {
      status: 'limited',
      detail,
      advice: '_NT_SYMBOL_PATH=srv*C:\\symbols*https://msdl.microsoft.com/download/symbols for all names of Windows',
    };
  }
  const places = parseSymbolPath(path, defaultSymbolCache());
  const servers = places.flatMap((place) => (place.kind === 'store' && place.server ? [place.server] : []));
  // The directories for a server's files are made when the first file comes.
  const absent = places.flatMap((place) => {
    if (place.kind === 'directory') return existsSync(place.path) ? [] : [place.path];
    return servers.length === 0 ? place.directories.filter((directory) => !existsSync(directory)) : [];
  });
  const from = symbolPath === undefined ? '_NT_SYMBOL_PATH' : '--symbols';
  if (absent.length > 0)
    return {
      status: 'limited',
      detail: `${from} names directories that do not exist: ${absent.join(', ')}`,
      advice: 'the directory that holds the PDB files',
    };
  const plain = servers.filter((server) => !/^https:/i.test(server));
  if (plain.length > 0)
    return {
      status: 'limited',
      detail: `${from} names symbol servers that are not asked, because only https is spoken: ${plain.join(', ')}`,
      advice: 'their addresses with https',
    };
  const asked = servers.length === 0 ? '' : '; the servers are asked for what is not on this machine';
  return { status: 'ok', detail: `${from}: ${path}${asked}` };
}

/** The tool reads DWARF itself. Users who know other tools may look for them here, so this check names them. */
async function examineDwarf({ environment }: DoctorContext): Promise<Omit<Check, 'name'>> {
  const { isWine } = await import('../ffi/ntdll.ts');
  const directories = [
    ...(environment['PATH'] ?? environment['Path'] ?? '').split(delimiter),
    ...(isWine ? ['Z:\\usr\\bin', 'Z:\\usr\\local\\bin'] : []),
  ];
  const found = ['llvm-symbolizer', 'addr2line'].filter((name) =>
    directories.some(
      (directory) =>
        directory !== '' && ['', '.exe'].some((extension) => existsSync(join(directory, `${name}${extension}`))),
    ),
  );
  const others =
    found.length > 0
      ? `${found.join(' and ')} ${found.length === 1 ? 'is' : 'are'} here and not needed`
      : 'llvm-symbolizer and addr2line are not needed';
  return {
    status: 'ok',
    detail: `unclosed itself reads functions, lines and inlined functions from DWARF 2 to 5; ${others}`,
  };
}

async function examineDemangling(): Promise<Omit<Check, 'name'>> {
  const { undecorate } = await import('../symbols/undecorate.ts');
  const samples = [
    ['Microsoft’s C++', '?open@Box@store@@QEAAXH@Z', 'store::Box::open'],
    ['GCC’s and Clang’s C++', '_ZN5store3BoxIiE4openEi', 'store::Box<int>::open'],
    ['Rust', '_RNvNtCs15kBYyAo9fc_5store3box4open', 'store::box::open'],
    ['older Rust', '_ZN5store3box4open17h0123456789abcdefE', 'store::box::open'],
  ] as const;
  const names = samples.map(([language]) => language);
  const failing = samples
    .filter(([, decorated, plain]) => undecorate(decorated) !== plain)
    .map(([language]) => language);
  if (failing.length === 0)
    return {
      status: 'ok',
      detail: `names of ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are spelled as in the source`,
    };
  return {
    status: 'limited',
    detail: `names of ${failing.join(', ')} stay decorated`,
    advice: 'c++filt or undname for the names in the report',
  };
}
