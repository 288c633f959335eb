import { PROCESS_QUERY_LIMITED_INFORMATION } from '../ffi/constants.ts';
import { NtQueryInformationProcess } from '../ffi/ntdll.ts';
import { SystemError } from '../io/index.ts';
import { isSystemPath } from './modules.ts';
import { openProcess, type ProcessInfo, readImagePath } from './processes.ts';

const ProcessBreakOnTermination = 29;

/** Windows does not run without them, even where it does not mark them as critical. */
const names: ReadonlySet<string> = new Set([
  'smss.exe',
  'csrss.exe',
  'wininit.exe',
  'winlogon.exe',
  'services.exe',
  'lsass.exe',
  'lsaiso.exe',
  'svchost.exe',
  'dwm.exe',
  'registry',
  'memory compression',
  'secure system',
  'winedevice.exe',
  'plugplay.exe',
  'rpcss.exe',
]);

/**
 * Why Windows cannot run without a process, in a clause: it is the kernel itself, is marked as critical, or is one of
 * Windows' servers. `undefined` for any other, and for a program of such a name that is not Windows' own.
 */
export function whyCritical({ processId, name }: ProcessInfo): string | undefined {
  if (processId === 0 || processId === 4) return 'it is the kernel';
  const isNamed = names.has(name.toLowerCase());
  try {
    using process = openProcess(processId, PROCESS_QUERY_LIMITED_INFORMATION);
    const isCritical = new Uint32Array(1);
    const status = NtQueryInformationProcess(process.asRawHandle(), ProcessBreakOnTermination, isCritical, 4, null);
    // not on Wine 8 and 10: STATUS_INVALID_INFO_CLASS [ran]
    if (status === 0 && isCritical[0] !== 0) return 'Windows has marked it as critical';
    const path = readImagePath(process.asRawHandle());
    return isNamed && (path === undefined || isSystemPath(path)) ? 'it is a part of Windows' : undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return isNamed ? 'it is a part of Windows' : undefined;
  }
}
