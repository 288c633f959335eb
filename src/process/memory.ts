import { ReadProcessMemory } from '../ffi/kernel32.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed } from '../io/system-error.ts';

/**
 * A copy of `sizeBytes` bytes at `address` in another process.
 *
 * @param process opened with PROCESS_VM_READ
 * @throws Win32Error when any of the bytes cannot be read (ERROR_PARTIAL_COPY 299)
 */
export function readMemory(process: AsHandle, address: bigint, sizeBytes: number): Buffer {
  const copy = tryReadMemory(process, address, sizeBytes);
  if (copy === undefined)
    throw failed(`read ${sizeBytes} bytes of the target's memory at`, `0x${address.toString(16)}`);
  return copy;
}

/** {@link readMemory} for an address that came from the target itself and may point to nowhere: `undefined` then. */
export function tryReadMemory(process: AsHandle, address: bigint, sizeBytes: number): Buffer | undefined {
  const copy = Buffer.alloc(sizeBytes);
  const read = new BigUint64Array(1);
  const place = BigInt.asUintN(64, address);
  const whole = ReadProcessMemory(process.asHandle().asRawHandle(), place, copy, BigInt(sizeBytes), read);
  return whole && read[0] === BigInt(sizeBytes) ? copy : undefined;
}
