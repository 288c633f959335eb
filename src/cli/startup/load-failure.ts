import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Why koffi's binary cannot be loaded, as Node.js says it. */
interface LoadFailure {
  readonly code?: string;
  readonly message: string;
}

const POLICY_KEY = 'HKLM\\SYSTEM\\CurrentControlSet\\Control\\CI\\Policy';
const ENFORCED = 1;

/**
 * Explains why koffi cannot be loaded, in one sentence and advice.
 *
 * A policy of Windows may refuse every DLL that is not signed, and koffi's is not. The text of that error
 * (ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION, 4551) is in the language of Windows, so the registry is asked, too.
 *
 * @param error the error of koffi, which does not say why its binary was refused
 * @param refusal the error of the binary itself; undefined where there is no binary, or it can be loaded
 * @param isSmartAppControlOn whether Smart App Control refuses what it does not know; called only where it matters
 */
export function explainLoadFailure(
  error: LoadFailure,
  refusal: LoadFailure | undefined,
  isSmartAppControlOn: () => boolean,
): string {
  const [reason = ''] = (refusal ?? error).message.split(/\r?\n/, 1);
  const why = reason.replace(/\.$/, '');
  if (refusal?.code !== 'ERR_DLOPEN_FAILED')
    return `Cannot load koffi, which calls Windows: ${why}. Try to install unclosed again, with optional dependencies.`;
  if (isSmartAppControlOn())
    return (
      `Cannot load koffi, which calls Windows: Smart App Control is on, and refuses the file because it is not signed (${why}). ` +
      'To install it again does not help, and there are no exceptions for single files. Try another machine, or a virtual one.'
    );
  if (/application control|device guard|code integrity|\b4551\b|0x800711c7/i.test(reason))
    return (
      `Cannot load koffi, which calls Windows: a policy of this machine refuses the file because it is not signed (${why}). ` +
      'To install it again does not help. Try to ask whoever administers this machine for a rule that allows koffi.node by its hash.'
    );
  return (
    `Cannot load koffi, which calls Windows: Windows refuses its file koffi.node (${why}). ` +
    'Try to install unclosed again, and to ask whether a policy of this machine refuses files that are not signed.'
  );
}

/** Loads koffi's binary by itself, to hear why it cannot be loaded: koffi does not say. */
export function tryBinary(): LoadFailure | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve('@koromix/koffi-win32-x64');
    process.dlopen({ exports: {} }, join(dirname(entry), 'win32_x64', 'koffi.node'));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : undefined;
  }
}

/** Asks the registry by a program of Windows, for without koffi there is no other way. */
export function isSmartAppControlOn(): boolean {
  const program = join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', 'reg.exe');
  const args = ['query', POLICY_KEY, '/v', 'VerifiedAndReputablePolicyState'];
  const { stdout } = spawnSync(program, args, { encoding: 'utf8', windowsHide: true, timeout: 5000 });
  return isEnforced(stdout ?? '');
}

/** Whether the answer of `reg query` has the number of an enforced policy; its words are in the language of Windows. */
export function isEnforced(answer: string): boolean {
  const [, digits] = /REG_DWORD\s+0x([0-9a-f]+)/i.exec(answer) ?? [];
  return digits !== undefined && Number.parseInt(digits, 16) === ENFORCED;
}
