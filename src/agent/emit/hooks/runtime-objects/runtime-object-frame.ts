import { type FramePlaces, framePlaces } from '../../abi/frame-places.ts';
import { type FrameShape, returnAddressOffset } from '../../abi/framed-function.ts';

// The frame of the hook of runtime objects: runtime-object-hook.ts.

/** Stack arguments of the widest function, FindFirstFileTransacted. */
export const STACK_ARGUMENT_COUNT_MAX = 3;
const PLACES_OFFSET = 0x20 + STACK_ARGUMENT_COUNT_MAX * 8;
export const runtimeObjectFrame: FrameShape = { pushes: [], sizeBytes: PLACES_OFFSET + 18 * 8 };

/** No memory of a process lies below. */
export const LOWEST_ADDRESS = 0x1_0000;

/**
 * Offset of the caller's arguments, one behind the other. The hook saves those in registers to the home space that the
 * caller left for them.
 */
export const ARGUMENTS: number = returnAddressOffset(runtimeObjectFrame) + 8;

const placeNames = [
  'row',
  'trampoline',
  'stackArguments',
  'result',
  'pending',
  'argument',
  'strangeHandle',
  'strangeState',
  'closing',
  'closingState',
  'descriptor',
  'descriptorState',
  'failed',
  'openedCount',
  'value',
  'key',
  'object',
  'stream',
] as const;

/**
 * - `row`: address of the {@link runtimeObjectRow}; 0 for a call that passes through
 * - `stackArguments`: how many there are
 * - `pending`: record of a misuse whose call has not come back; 0: none
 * - `argument`: what the call is to close
 * - `strangeHandle`, `strangeState`: slot of an open handle that the function is not meant for, and its state; 0: none
 * - `closing`, `closingState`: the object that the call closes, and its state before; 0: none
 * - `descriptor`, `descriptorState`: the same for the descriptor of a FILE that the call closes
 * - `failed`: not 0 when the call has failed
 * - `openedCount`: how many opened objects have been recorded
 * - `value`, `key`, `object`: the opened object that is being recorded
 * - `stream`: address of an opened FILE
 */
export const places: FramePlaces<typeof placeNames> = framePlaces(runtimeObjectFrame, PLACES_OFFSET, ...placeNames);
