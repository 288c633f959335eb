import { RtlGenRandom } from '../ffi/advapi32.ts';
import { failed } from '../io/index.ts';

/**
 * Random bytes that nobody can guess, from Windows itself: Node.js' `crypto`, which has them too, takes as long to load
 * as a short program takes to run.
 *
 * @throws Win32Error when Windows refuses
 */
export function randomBytes(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  if (!RtlGenRandom(bytes, bytes.length)) throw failed('get', `${sizeBytes} random bytes`);
  return bytes;
}
