import { CreateMutexW, ReleaseMutex } from '../../../ffi/kernel32.ts';
import { CleanupStack } from '../../../io/cleanup-stack.ts';
import { type AsHandle, type BorrowedHandle, failed, HandleOrNull, type OwnedHandle } from '../../../io/index.ts';
import { randomBytes } from '../../../process/random.ts';
import type { LinkInputs } from '../../link/link-agent.ts';
import { openToTargets } from './gate-access.ts';
import { objectName } from './object-name.ts';

/**
 * The mutants at which one target waits when it exits. They have names, so that the target opens them at its exit and
 * holds no handle of them before; a target that cannot is lent handles (../loans.ts).
 */
export class ExitGate implements Disposable {
  readonly names: Pick<LinkInputs, 'judgedName' | 'threadsSeenName'>;
  readonly #judged: Barrier;
  readonly #threadsSeen: Barrier;

  /** @throws Win32Error or NtStatusError when Windows refuses */
  constructor(name: string = `unclosed-${randomBytes(16).toString('hex')}`) {
    using taken = new CleanupStack();
    this.#judged = taken.use(new Barrier(`${name}-judged`));
    this.#threadsSeen = taken.use(new Barrier(`${name}-threads-seen`));
    this.names = { judgedName: objectName(this.#judged), threadsSeenName: objectName(this.#threadsSeen) };
    taken.disarm();
  }

  get judged(): AsHandle {
    return this.#judged;
  }

  get threadsSeen(): AsHandle {
    return this.#threadsSeen;
  }

  /** Lets the target end its other threads, and go on to the end of its exit. */
  releaseThreadsSeen(): void {
    this.#threadsSeen.release();
  }

  /** Lets the target pass the gate. */
  release(): void {
    this.#judged.release();
  }

  [Symbol.dispose](): void {
    using _judged = this.#judged;
    using _threadsSeen = this.#threadsSeen;
  }
}

/** A mutant that this thread holds until it releases it for good. The kernel releases it for a dead auditor. */
class Barrier implements AsHandle, Disposable {
  readonly #mutant: OwnedHandle;
  #isHeld = true;

  constructor(name: string) {
    using taken = new CleanupStack();
    const raw = CreateMutexW(null, true, name);
    this.#mutant = taken.use(HandleOrNull.fromRawHandle(raw).expect('create', 'the exit gate'));
    openToTargets(this.#mutant);
    taken.disarm();
  }

  asHandle(): BorrowedHandle {
    return this.#mutant.asHandle();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!ReleaseMutex(this.#mutant.asRawHandle())) throw failed('release', 'the exit gate');
  }

  [Symbol.dispose](): void {
    try {
      this.release();
    } finally {
      this.#mutant[Symbol.dispose]();
    }
  }
}
