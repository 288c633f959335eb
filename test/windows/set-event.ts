import { CreateEventW, SetEvent } from '../../src/ffi/kernel32.ts';
import { HandleOrNull } from '../../src/io/index.ts';

/** Sets an event that another process has made. */
export function setEvent(name: string): void {
  using event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, name)).expect('open event', name);
  SetEvent(event.asRawHandle());
}
