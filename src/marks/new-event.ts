import { ERROR_ALREADY_EXISTS } from '../ffi/constants.ts';
import { CreateEventW, GetLastError } from '../ffi/kernel32.ts';
import { HandleOrNull, type OwnedHandle } from '../io/index.ts';
import { MarkError } from './mark-name.ts';

/**
 * Makes an event by which a program tells the auditor something. It resets itself.
 *
 * @throws MarkError when there is one of that name: its signals would come from other programs
 */
export function createNewEvent(name: string): OwnedHandle {
  const raw = CreateEventW(null, false, false, name);
  const code = GetLastError();
  const event = HandleOrNull.fromRawHandle(raw).expect('create event', name);
  if (code !== ERROR_ALREADY_EXISTS) return event;
  event[Symbol.dispose]();
  throw new MarkError(name, 'another process has an event of that name (ERROR_ALREADY_EXISTS 183)', 'another name');
}
