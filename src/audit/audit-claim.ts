import { ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS } from '../ffi/constants.ts';
import { CreateMutexW, GetLastError } from '../ffi/kernel32.ts';
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
