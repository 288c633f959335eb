import { GetStdHandle, INVALID_HANDLE_VALUE } from '../ffi/kernel32.ts';
import { BorrowedHandle } from './handle.ts';
import { NULL_HANDLE, type RawHandle } from './raw.ts';

const STANDARD_HANDLE_NUMBERS = { input: -10, output: -11, error: -12 } as const;

/** One of the three standard streams of a process. */
export type StandardStream = keyof typeof STANDARD_HANDLE_NUMBERS;

/**
 * The process's standard handle, borrowed from the process itself. It is NULL when there is none.
 *
 * https://learn.microsoft.com/windows/console/getstdhandle
 */
export function standardHandle(stream: StandardStream): BorrowedHandle {
  return BorrowedHandle.borrowRaw(normalizeStandardHandle(GetStdHandle(STANDARD_HANDLE_NUMBERS[stream] >>> 0)));
}

/**
 * Turns INVALID_HANDLE_VALUE into NULL. GetStdHandle returns it when the parent gave no handle, for example because it
 * has no console. NULL is what the parent itself would see, and cannot be mistaken for the current process.
 */
function normalizeStandardHandle(raw: RawHandle): RawHandle {
  return raw === INVALID_HANDLE_VALUE ? NULL_HANDLE : raw;
}
