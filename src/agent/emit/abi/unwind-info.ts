import type { FrameShape } from './framed-function.ts';

const UWOP_PUSH_NONVOL = 0;
const UWOP_ALLOC_LARGE = 1;
const UWOP_ALLOC_SMALL = 2;

/** The UNWIND_INFO of a frame: version 1, no handler, no frame register, codes in reverse order of the prologue. */
export function unwindInfo(frame: FrameShape): Uint8Array {
  const codes: number[][] = [];
  let prologSize = 0;
  for (const register of frame.pushes) {
    prologSize += register.code >= 8 ? 2 : 1;
    codes.push([prologSize, (register.code << 4) | UWOP_PUSH_NONVOL]);
  }
  if (frame.sizeBytes > 0) {
    // sub rsp, imm8 has 4 bytes, sub rsp, imm32 has 7.
    prologSize += frame.sizeBytes <= 0x7f ? 4 : 7;
    if (frame.sizeBytes <= 128) {
      codes.push([prologSize, ((frame.sizeBytes / 8 - 1) << 4) | UWOP_ALLOC_SMALL]);
    } else {
      const slots = frame.sizeBytes / 8;
      if (slots > 0xffff) throw new Error(`a frame of ${frame.sizeBytes} bytes is too large`);
      codes.push([prologSize, UWOP_ALLOC_LARGE, slots & 0xff, slots >> 8]);
    }
  }
  const bytes = codes.toReversed().flat();
  const countOfCodes = bytes.length / 2;
  const padding = countOfCodes % 2 === 0 ? [] : [0, 0];
  return Uint8Array.from([1, prologSize, countOfCodes, 0, ...bytes, ...padding]);
}
