import { RtlGenRandom } from '../ffi/advapi32.ts';
import { failed } from '../io/index.ts';

/**
 * Unpredictable random bytes, from Windows itself. Node.js' `crypto` has them too, but takes as long to load as a short
 * program takes to run.
 *
 * @throws Win32Error when Windows refuses
 */
export function randomBytes(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  if (!RtlGenRandom(bytes, bytes.length)) throw failed('get', `${sizeBytes} random bytes`);
  return bytes;
}
