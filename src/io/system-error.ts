import { LsaNtStatusToWinError } from '../ffi/advapi32.ts';
import { FormatMessageW, GetLastError, SetLastError } from '../ffi/kernel32.ts';
import { nameOfNtStatus, nameOfWin32Code } from './error-names.ts';
import { UserError } from '../user-error.ts';

const FORMAT_MESSAGE_FROM_SYSTEM = 0x1000;
const FORMAT_MESSAGE_IGNORE_INSERTS = 0x200;
const LANG_ENGLISH_US = 0x409;
const LANG_NEUTRAL = 0;
/** The result of LsaNtStatusToWinError for a status that has no Win32 code. */
const ERROR_MR_MID_NOT_FOUND = 317;

/** The parts of an error's sentence: the action, the object, and advice. */
export interface Failure {
  /** The action that failed, as it follows "Cannot": `open process`. */
  readonly what: string;
  /** The object: `4242`, `C:\data\log.txt`. Empty where {@link what} needs none. */
  readonly object: string;
  /** Advice, as it follows "Try": `an elevated terminal`. */
  readonly tryThis?: string | undefined;
}

/** A failed call to Windows: the action, the object, the reason. The subclass says which kind of number the code is. */
export abstract class SystemError extends UserError {
  /** The number that Windows gave, unsigned. */
  readonly code: number;
  /** Its documented name, `ERROR_ACCESS_DENIED`, where this library knows it. */
  readonly codeName: string | undefined;
  /** Windows' own text for the code, in English where it has it, with neither capital nor full stop. */
  readonly reason: string;

  protected constructor(
    failure: Failure,
    code: number,
    codeName: string | undefined,
    codeText: string,
    reason: string,
  ) {
    const subject = failure.object === '' ? failure.what : `${failure.what} ${failure.object}`;
    const label = codeName === undefined ? codeText : `${codeName} ${codeText}`;
    const why = reason === '' ? label : `${reason} (${label})`;
    const advice = failure.tryThis === undefined ? '' : ` Try ${failure.tryThis}.`;
    super(`Cannot ${subject}: ${why}.${advice}`);
    this.code = code;
    this.codeName = codeName;
    this.reason = reason;
  }
}

/**
 * A Win32 or Winsock call failed with a code of GetLastError or WSAGetLastError.
 *
 * Its message: `Cannot open process 4242: access denied (ERROR_ACCESS_DENIED 5). Try an elevated terminal.`
 *
 * https://learn.microsoft.com/windows/win32/debug/system-error-codes
 */
export class Win32Error extends SystemError {
  constructor(failure: Failure, code: number) {
    super(failure, code, nameOfWin32Code(code), String(code), describeCode(code));
  }
}

/**
 * An Nt or Rtl call failed with an NTSTATUS.
 *
 * Its message: `Cannot close handle 0x1a4: invalid handle (STATUS_INVALID_HANDLE 0xc0000008).`
 *
 * https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55
 */
export class NtStatusError extends SystemError {
  constructor(failure: Failure, status: number) {
    const code = status >>> 0;
    super(failure, code, nameOfNtStatus(code), `0x${code.toString(16).padStart(8, '0')}`, describeStatus(code));
  }
}

/**
 * The error of the Win32 call that just failed, to be thrown: reads GetLastError, so nothing may come in between.
 *
 * `throw failed('open process', '4242', 'an elevated terminal')` says
 * `Cannot open process 4242: access denied (ERROR_ACCESS_DENIED 5). Try an elevated terminal.`
 *
 * @param what the thing that cannot be done, as it follows "Cannot"
 * @param object which one; a name that came from a target must be escaped by the caller
 * @param tryThis what might help, as it follows "Try", without a full stop
 */
export function failed(what: string, object: string, tryThis?: string): Win32Error {
  return new Win32Error({ what, object, tryThis }, GetLastError());
}

/**
 * The error of an Nt call that returned `status`, to be thrown.
 *
 * @param status NTSTATUS, signed or unsigned
 */
export function failedWithStatus(what: string, object: string, status: number, tryThis?: string): NtStatusError {
  return new NtStatusError({ what, object, tryThis }, status);
}

/** Windows' text for a Win32 code, cut to a clause: `access is denied`. Empty where Windows has none. */
export function describeCode(code: number): string {
  // FormatMessageW sets the last error when a code has no text, but the caller may still need the old one.
  const lastError = GetLastError();
  const sentence = formatMessage(code, LANG_ENGLISH_US) || formatMessage(code, LANG_NEUTRAL);
  SetLastError(lastError);
  return toClause(sentence);
}

function describeStatus(status: number): string {
  const code = LsaNtStatusToWinError(status);
  return code === ERROR_MR_MID_NOT_FOUND ? '' : describeCode(code);
}

function formatMessage(code: number, language: number): string {
  const buffer = new Uint16Array(1024);
  const flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  const length = FormatMessageW(flags, null, code, language, buffer, buffer.length, null);
  return String.fromCharCode(...buffer.subarray(0, length));
}

/** "Access is denied.\r\n" -> "access is denied"; an abbreviation at the start keeps its capitals. */
function toClause(sentence: string): string {
  const line = sentence.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
  return /^[A-Z][a-z ]/.test(line) ? line.charAt(0).toLowerCase() + line.slice(1) : line;
}
