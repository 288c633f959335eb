import { ImpersonateLoggedOnUser, OpenProcessToken, RevertToSelf } from '../../../ffi/advapi32.ts';
import { addressOf } from '../../../ffi/library.ts';
import { NtOpenEvent } from '../../../ffi/ntdll.ts';
import { type AsHandle, failed, OwnedHandle, unsafeRawHandle } from '../../../io/index.ts';
import { EVENT_MODIFY_STATE } from '../../linkage/gate-name.ts';

const TOKEN_DUPLICATE = 0x2;
const TOKEN_QUERY = 0x8;
const OBJ_CASE_INSENSITIVE = 0x40;

/**
 * Whether a process may open an event of ours by its whole path. The answer is that of the kernel: this thread opens
 * the event with the rights of the process. So no rule is needed here about app containers, restricted tokens, levels
 * of integrity and whatever else may refuse it. Where the rights cannot be had, the answer is no.
 *
 * @throws Win32Error when this thread does not get its own rights back
 */
export function opensByName(process: AsHandle, path: string): boolean {
  const raw = new BigInt64Array(1);
  if (!OpenProcessToken(process.asHandle().asRawHandle(), TOKEN_QUERY | TOKEN_DUPLICATE, raw)) return false;
  using token = OwnedHandle.fromRawHandle(unsafeRawHandle(raw[0]!));
  using impersonation = Impersonation.begin(token);
  if (impersonation === undefined) return false;
  const opened = new BigInt64Array(1);
  if (NtOpenEvent(opened, EVENT_MODIFY_STATE, objectAttributes(path)) !== 0) return false;
  OwnedHandle.fromRawHandle(unsafeRawHandle(opened[0]!))[Symbol.dispose]();
  return true;
}

/** This thread has the rights of a token until the impersonation is disposed of. */
class Impersonation implements Disposable {
  /** @returns `undefined` when Windows refuses */
  static begin(token: OwnedHandle): Impersonation | undefined {
    return ImpersonateLoggedOnUser(token.asRawHandle()) ? new Impersonation() : undefined;
  }

  [Symbol.dispose](): void {
    if (!RevertToSelf()) throw failed('end', 'the impersonation of a target');
  }
}

/** The OBJECT_ATTRIBUTES of a path, in one piece with its UNICODE_STRING and its text. */
function objectAttributes(path: string): Buffer {
  const text = Buffer.from(path, 'utf16le');
  const bytes = Buffer.alloc(0x40 + text.length);
  const address = addressOf(bytes);
  bytes.writeUInt32LE(0x30, 0); // ULONG Length; HANDLE RootDirectory is 0
  bytes.writeBigUInt64LE(address + 0x30n, 0x10); // PUNICODE_STRING ObjectName
  bytes.writeUInt32LE(OBJ_CASE_INSENSITIVE, 0x18); // ULONG Attributes; the two pointers behind are 0
  bytes.writeUInt16LE(text.length, 0x30); // USHORT Length
  bytes.writeUInt16LE(text.length, 0x32); // USHORT MaximumLength
  bytes.writeBigUInt64LE(address + 0x40n, 0x38); // PWSTR Buffer
  bytes.set(text, 0x40);
  return bytes;
}
