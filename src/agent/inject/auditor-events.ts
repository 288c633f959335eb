import { CreateEventW } from '../../ffi/kernel32.ts';
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
  constructor({ followsChildren, stops = false }: { readonly followsChildren: boolean; readonly stops?: boolean }) {
    const name = `unclosed-${randomBytes(16).toString('hex')}`;
    this.#arrived = createEvent(`${name}-arrived`);
    this.#child = followsChildren ? createEvent(`${name}-child`) : undefined;
    this.arrivedName = objectName(this.#arrived);
    this.childName = this.#child && objectName(this.#child);
    this.stops = stops ? new StopLine() : undefined;
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
  const event = HandleOrNull.fromRawHandle(CreateEventW(null, false, false, name)).expect('create', 'the exit gate');
  openToTargets(event);
  return event;
}
