import { viewMemory } from '../ffi/library.ts';
import { SYSTEM_TIME_ADDRESS } from '../process/file-time.ts';

let page: DataView | undefined;

/** The FILETIME of the last clock tick, as every process on the machine reads it from {@link SYSTEM_TIME_ADDRESS}. */
export function systemTime(): bigint {
  page ??= new DataView(viewMemory(BigInt(SYSTEM_TIME_ADDRESS), 8));
  return page.getBigUint64(0, true);
}
