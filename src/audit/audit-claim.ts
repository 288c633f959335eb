import { ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, SYNCHRONIZE } from '../ffi/constants.ts';
import { CreateMutexW, GetLastError, OpenMutexW } from '../ffi/kernel32.ts';
import { HandleOrNull, type OwnedHandle } from '../io/index.ts';

/**
 * The claim of this auditor to a process, which no other auditor may record meanwhile: two agents would hook each
 * other.
 * It is an object with a name, so it ends with its auditor, however that ends.
 */
export class AuditClaim implements Disposable {
  readonly #mutex: OwnedHandle;

  private constructor(mutex: OwnedHandle) {
    this.#mutex = mutex;
  }

  /**
   * Claims a process.
   *
   * @returns `undefined` when another auditor has claimed it
   * @throws Win32Error when Windows refuses for another reason
   */
  static take(processId: number): AuditClaim | undefined {
    const raw = CreateMutexW(null, false, nameOfClaim(processId));
    const code = GetLastError();
    if (raw === 0n && code === ERROR_ACCESS_DENIED) return undefined; // that of another user's auditor
    const mutex = HandleOrNull.fromRawHandle(raw).expect('claim process', String(processId));
    if (code !== ERROR_ALREADY_EXISTS) return new AuditClaim(mutex);
    mutex[Symbol.dispose]();
    return undefined;
  }

  /** Whether an auditor has claimed a process. */
  static isTaken(processId: number): boolean {
    return exists(nameOfClaim(processId));
  }

  [Symbol.dispose](): void {
    this.#mutex[Symbol.dispose]();
  }
}

/** The sign by which other auditors know that this process is one. It is an object with a name, as a claim is. */
export class AuditorSign implements Disposable {
  readonly #mutex: OwnedHandle;

  /** @throws Win32Error when Windows refuses */
  constructor() {
    const raw = CreateMutexW(null, false, nameOfSign(process.pid));
    this.#mutex = HandleOrNull.fromRawHandle(raw).expect('say that this process is', 'an auditor');
  }

  /** Whether a process is an auditor: it records what it starts, and two agents would hook each other. */
  static isUpAt(processId: number): boolean {
    return exists(nameOfSign(processId));
  }

  [Symbol.dispose](): void {
    this.#mutex[Symbol.dispose]();
  }
}

/** Whether there is a mutex with a name, also one that only another user may open. */
function exists(name: string): boolean {
  const raw = OpenMutexW(SYNCHRONIZE, false, name);
  if (raw === 0n) return GetLastError() === ERROR_ACCESS_DENIED;
  HandleOrNull.fromRawHandle(raw).tryIntoOwned()[Symbol.dispose]();
  return true;
}

function nameOfClaim(processId: number): string {
  return `Global\\unclosed-audit-of-${processId}`;
}

function nameOfSign(processId: number): string {
  return `Global\\unclosed-auditor-${processId}`;
}
