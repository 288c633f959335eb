import type { HANDLE } from '../../ffi/library.ts';
import { GetProcessMitigationPolicy, IsWow64Process2, RegGetValueW } from '../../ffi/machine.ts';
import { CURRENT_PROCESS } from '../../io/index.ts';

const HKEY_LOCAL_MACHINE = -0x7fff_fffen as HANDLE; // (HKEY)(LONG)0x80000002
const RRF_RT_REG_SZ = 0x2;
const RRF_RT_REG_DWORD = 0x10;
const VALUE_LENGTH_MAX = 256;

/** The machine types of PE files, as far as Windows runs on them. */
const machineNames: ReadonlyMap<number, string> = new Map([
  [0x14c, 'x86'],
  [0x8664, 'x64'],
  [0xaa64, 'ARM64'],
]);

/** The processor that Windows itself was built for; undefined where Windows does not say. */
export function nativeMachine(): string | undefined {
  const [own, native] = [new Uint16Array(1), new Uint16Array(1)];
  if (IsWow64Process2?.(CURRENT_PROCESS, own, native) !== true) return undefined;
  return machineNames.get(native[0]!) ?? `0x${native[0]!.toString(16)}`;
}

/** A number in the registry's HKEY_LOCAL_MACHINE; undefined where there is none, or it cannot be read. */
export function readRegistryNumber(key: string, name: string): number | undefined {
  const [data, size] = [new Uint32Array(1), Uint32Array.of(4)];
  return RegGetValueW(HKEY_LOCAL_MACHINE, key, name, RRF_RT_REG_DWORD, null, data, size) === 0 ? data[0] : undefined;
}

/** A text in the registry's HKEY_LOCAL_MACHINE; undefined where there is none, or it cannot be read. */
export function readRegistryText(key: string, name: string): string | undefined {
  const [data, size] = [new Uint16Array(VALUE_LENGTH_MAX), Uint32Array.of(VALUE_LENGTH_MAX * 2)];
  if (RegGetValueW(HKEY_LOCAL_MACHINE, key, name, RRF_RT_REG_SZ, null, data, size) !== 0) return undefined;
  return String.fromCharCode(...data.subarray(0, size[0]! / 2)).replace(/\0.*$/s, '');
}

/** Values of PROCESS_MITIGATION_POLICY that change what a recorder may do, or what the kernel does for a program. */
const policies = [
  ['DEP', 0],
  ['ASLR', 1],
  ['dynamic code', 2],
  ['strict handle checks', 3],
  ['system calls', 4],
  ['extension points', 6],
  ['control flow guard', 7],
  ['signatures', 8],
  ['image loads', 10],
  ['child processes', 13],
  ['shadow stacks', 15],
  ['redirection trust', 16],
] as const;

/**
 * The flags of each mitigation policy of this process that has any. DEP's structure is longer by a BOOLEAN.
 *
 * https://learn.microsoft.com/windows/win32/api/winnt/ne-winnt-process_mitigation_policy
 */
export function readMitigations(): readonly string[] {
  return policies.flatMap(([name, policy]) => {
    const flags = new Uint32Array(2);
    const sizeBytes = policy === 0 ? 8n : 4n;
    const isKnown = GetProcessMitigationPolicy?.(CURRENT_PROCESS, policy, flags, sizeBytes) === true;
    return isKnown && flags[0] !== 0 ? [`${name} 0x${flags[0]!.toString(16)}`] : [];
  });
}
