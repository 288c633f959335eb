import { arch, cpus, release, version } from 'node:os';

import { findFunctions } from '../agent/inject/locate/locate-functions.ts';
import { locateStubs, ntdllAddress, readOwnStubs, recogniseStubs } from '../agent/inject/locate/locate-hooks.ts';
import { functionTable } from '../agent/tables/function-table.ts';
import { hookTable } from '../agent/tables/hook-table.ts';
import { GetModuleHandleW, GetProcAddress } from '../ffi/kernel32.ts';
import { koffiVersion, viewMemory } from '../ffi/library.ts';
import { isWine } from '../ffi/ntdll.ts';
import type { Gap } from '../completeness.ts';
import { isElevated } from '../process/elevation.ts';
import { nativeMachine, readRegistryNumber, readRegistryText } from '../process/machine/machine.ts';
import { spellApplicationControl } from '../process/machine/application-control.ts';
import { toolVersion } from '../version.ts';
import { readHost } from '../wine/host.ts';
import type { Run } from './judge.ts';

/** A property of the machine that may explain a result, for a person. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

const CURRENT_VERSION = 'SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion';
const HEAD_SIZE_BYTES = 24;

/** The properties of this machine and of its DLLs. Nothing in them names the user or a directory. */
export function describeMachine(): readonly Fact[] {
  const wine = isWine ? (readHost(process.env)?.wine ?? 'yes') : 'no';
  const build = [
    ...['EditionID', 'DisplayVersion', 'CurrentBuild'].map((name) => readRegistryText(CURRENT_VERSION, name)),
    readRegistryNumber(CURRENT_VERSION, 'UBR'), // the number behind the build's, which updates count up
  ].filter((each) => each !== undefined);
  return [
    { name: 'unclosed', value: `${toolVersion}, koffi ${koffiVersion}, Node.js ${process.versions.node} ${arch()}` },
    { name: 'system', value: `${version()} ${release()} (${build.join(', ')}), Wine: ${wine}` },
    { name: 'processor', value: `${nativeMachine() ?? 'unknown'}, ${cpus().length} logical` },
    { name: 'account', value: isElevated() ? 'elevated' : 'not elevated' },
    { name: 'application control', value: spellApplicationControl() },
    ...describeStubs(),
    ...describeFunctions(),
  ];
}

/** The stubs of system calls as this process has them: one as a sample, and each that has another shape. */
function describeStubs(): readonly Fact[] {
  const ranges = locateStubs();
  const { calls, unrecognised } = recogniseStubs(ranges, ranges.map(readOwnStubs));
  const absent = hookTable.length - calls.length - unrecognised.length;
  return [
    {
      name: 'system calls',
      value: `${calls.length} can be hooked, ${unrecognised.length} cannot, ${absent} are not in this ntdll`,
    },
    ...['NtClose', ...unrecognised].map((name) => ({ name, value: hexAt(ntdllAddress(name)) })),
  ];
}

/** The functions of DLLs that cannot be hooked, with their first bytes. */
function describeFunctions(): readonly Fact[] {
  const { modules, unmovable } = findFunctions();
  const count = modules.reduce((total, { functions }) => total + functions.length, 0);
  return [
    { name: 'functions', value: `${count} of ${functionTable.length} can be hooked, ${unmovable.length} cannot` },
    ...unmovable.map((path) => {
      const [module = '', name = ''] = path.split('!');
      return { name: path, value: hexAt(GetProcAddress(GetModuleHandleW(module), name)) };
    }),
  ];
}

/** The properties of a recorded process: what else is in it, and what the report could not see. */
export function describeTarget({ account, report }: Run): readonly Fact[] {
  const { modules, mitigations } = account;
  const foreign = modules.slice(1).filter(({ isSystem }) => !isSystem);
  const system = modules.filter(({ isSystem }) => isSystem);
  const { completeness, stats, modulesWithoutNames = [] } = report;
  const isGateReached = completeness.gaps.every(({ kind }) => kind !== 'handle-table-lost');
  return [
    { name: 'mitigations', value: list(mitigations) },
    { name: 'DLLs of others', value: list(foreign.map(({ name }) => name)) },
    { name: 'DLLs of Windows', value: list(system.map(({ name }) => name)) },
    {
      name: 'hooked',
      value: `${stats.hookedCalls} system calls; ${stats.opens} opens and ${stats.closes} closes seen`,
    },
    { name: 'exit gate', value: isGateReached ? 'reached' : 'not reached' },
    { name: 'gaps', value: list(completeness.gaps.map(spellKind)) },
    { name: 'names missing in', value: list(modulesWithoutNames.map(({ module, why }) => `${module} (${why})`)) },
  ];
}

/** A gap without the names of programs. */
function spellKind(gap: Gap): string {
  if ('count' in gap) return `${gap.kind} ${gap.count}`;
  if (gap.kind === 'calls-unrecognised' || gap.kind === 'functions-unmovable')
    return `${gap.kind} ${gap.names.join(' ')}`;
  return gap.kind;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? 'none' : texts.join(', ');
}

function hexAt(address: bigint): string {
  if (address === 0n) return 'not there';
  return Buffer.from(new Uint8Array(viewMemory(address, HEAD_SIZE_BYTES))).toString('hex');
}
