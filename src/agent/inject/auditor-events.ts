import { CreateEventW } from '../../ffi/kernel32.ts';
import { CleanupStack } from '../../io/cleanup-stack.ts';
import { type BorrowedHandle, HandleOrNull, type OwnedHandle } from '../../io/index.ts';
import { randomBytes } from '../../process/random.ts';
import { openToTargets } from './gate/gate-access.ts';
import { objectName } from './gate/object-name.ts';
import { StopLine } from './stop-line.ts';

/**
 * The events by which targets call the auditor. All targets of one audit share them. They have names, so that a target
 * opens them when it needs them and holds no handle of them otherwise.
 */
export class AuditorEvents implements Disposable {
  readonly arrivedName: string;
  /** Absent where child processes are not followed. */
  readonly childName: string | undefined;
  /** Absent where no thread is to be stopped. */
  readonly stops: StopLine | undefined;
  readonly #arrived: OwnedHandle;
  readonly #child: OwnedHandle | undefined;

  /** @throws Win32Error or NtStatusError when Windows refuses */
  constructor(
    { followsChildren, stops = false }: { readonly followsChildren: boolean; readonly stops?: boolean },
    name: string = `unclosed-${randomBytes(16).toString('hex')}`,
  ) {
    using taken = new CleanupStack();
    this.#arrived = taken.use(createEvent(`${name}-arrived`));
    this.#child = taken.use(followsChildren ? createEvent(`${name}-child`) : undefined);
    this.arrivedName = objectName(this.#arrived);
    this.childName = this.#child && objectName(this.#child);
    this.stops = taken.use(stops ? new StopLine() : undefined);
    taken.disarm();
  }

  /**
   * Signalled once each time a target waits at one of the two stops of its exit: before it ends its other threads, and
   * before it ends itself.
   */
  get arrived(): BorrowedHandle {
    return this.#arrived.asHandle();
  }

  /** Signalled when a target has started a child process that waits to be followed. */
  get child(): BorrowedHandle | undefined {
    return this.#child?.asHandle();
  }

  [Symbol.dispose](): void {
    using _arrived = this.#arrived;
    using _child = this.#child;
    using _stops = this.stops;
  }
}

function createEvent(name: string): OwnedHandle {
  using taken = new CleanupStack();
  const raw = CreateEventW(null, false, false, name);
  const event = taken.use(HandleOrNull.fromRawHandle(raw).expect('create', 'the exit gate'));
  openToTargets(event);
  taken.disarm();
  return event;
}
