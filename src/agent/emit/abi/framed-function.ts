import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label, type Memory } from '../../asm/operands.ts';
import { type Register, rsp } from '../../asm/registers.ts';

/**
 * A function of the agent with a frame that Windows can walk through. Exceptions, debuggers, profilers and crash
 * handlers pass it as they pass compiled code.
 * Layout: https://learn.microsoft.com/cpp/build/exception-handling-x64
 */
export interface FramedFunction {
  readonly begin: Label;
  readonly end: Label;
  readonly frame: FrameShape;
}

/** The registers that a prologue saves, and the bytes that it reserves. */
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

/**
 * Distance from `rsp` inside the function to the saved value of a pushed register.
 *
 * @throws Error when the frame does not push it
 */
export function savedRegisterOffset(frame: FrameShape, register: Register): number {
  const index = frame.pushes.findIndex((pushed) => pushed.code === register.code);
  if (index < 0) throw new Error(`register ${register.code} is not pushed by this frame`);
  return returnAddressOffset(frame) - (index + 1) * 8;
}

/**
 * Emits a function: prologue, body, epilogue. The body may emit the epilogue several times.
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

/** An argument that the caller passed on the stack, or the home space of one in a register; index 0 is the first. */
export function callerArgument(frame: FrameShape, index: number): Memory {
  return at(rsp, returnAddressOffset(frame) + 8 + index * 8);
}
