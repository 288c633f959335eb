import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { type Register, rsp } from '../../asm/registers.ts';

/**
 * A function of the agent whose frame Windows can walk through: exceptions, debuggers, profilers and crash handlers
 * pass it as they pass compiled code.
 * Layout: https://learn.microsoft.com/cpp/build/exception-handling-x64
 */
export interface FramedFunction {
  readonly begin: Label;
  readonly end: Label;
  readonly frame: FrameShape;
}

/** What a prologue saves and reserves. */
export interface FrameShape {
  /** Non-volatile registers pushed, in this order. */
  readonly pushes: readonly Register[];
  /** Bytes reserved below the pushes, a multiple of 8. */
  readonly sizeBytes: number;
}

/** Distance from `rsp` inside the function to the return address it was called with. */
export function returnAddressOffset(frame: FrameShape): number {
  return frame.sizeBytes + frame.pushes.length * 8;
}

/** Where inside the frame the pushed register was saved, as an offset from `rsp`. */
export function savedRegisterOffset(frame: FrameShape, register: Register): number {
  const index = frame.pushes.findIndex((pushed) => pushed.code === register.code);
  if (index < 0) throw new Error(`register ${register.code} is not pushed by this frame`);
  return returnAddressOffset(frame) - (index + 1) * 8;
}

/**
 * Emits a function: prologue, body, epilogue.
 *
 * Inside the body `rsp` is 16-byte aligned at calls if the frame is of the right size; this is checked.
 *
 * @throws Error when the frame would leave the stack misaligned for calls
 */
export function framedFunction(
  asm: Assembler,
  begin: Label,
  frame: FrameShape,
  body: (epilogue: () => void) => void,
): FramedFunction {
  if ((returnAddressOffset(frame) + 8) % 16 !== 0) throw new Error(`frame of ${begin.name} is not 16-byte aligned`);
  asm.align(16);
  asm.bind(begin);
  for (const register of frame.pushes) asm.push(register);
  if (frame.sizeBytes > 0) asm.sub(rsp, frame.sizeBytes);
  body(() => {
    if (frame.sizeBytes > 0) asm.add(rsp, frame.sizeBytes);
    for (const register of frame.pushes.toReversed()) asm.pop(register);
    asm.ret();
  });
  const end = asm.bind(asm.label(`${begin.name} end`));
  return { begin, end, frame };
}

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

/** The first byte past the pushes, for code that reads arguments the caller left on the stack. */
export function callerArgument(frame: FrameShape, index: number): ReturnType<typeof at> {
  return at(rsp, returnAddressOffset(frame) + 8 + index * 8);
}
