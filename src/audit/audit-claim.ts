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
    const raw = CreateMutexW(null, false, `Global\\unclosed-audit-of-${processId}`);
    const code = GetLastError();
    if (raw === 0n && code === ERROR_ACCESS_DENIED) return undefined; // that of another user's auditor
    const mutex = HandleOrNull.fromRawHandle(raw).expect('claim process', String(processId));
    if (code !== ERROR_ALREADY_EXISTS) return new AuditClaim(mutex);
    mutex[Symbol.dispose]();
    return undefined;
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
    const raw = OpenMutexW(SYNCHRONIZE, false, nameOfSign(processId));
    if (raw === 0n) return GetLastError() === ERROR_ACCESS_DENIED;
    HandleOrNull.fromRawHandle(raw).tryIntoOwned()[Symbol.dispose]();
    return true;
  }

  [Symbol.dispose](): void {
    this.#mutex[Symbol.dispose]();
  }
}

function nameOfSign(processId: number): string {
  return `Global\\unclosed-auditor-${processId}`;
}
