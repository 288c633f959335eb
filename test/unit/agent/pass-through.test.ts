import { describe, expect, it } from 'vitest';

import { assembleAgent } from '../../../src/agent/emit/assembly.ts';
import { isInTrampoline, isReturnOfRealCall } from '../../../src/agent/linkage/pass-through.ts';

const code = assembleAgent({ quarantine: false, checked: false });
const { bytes } = code;

/** Offsets behind each occurrence of an instruction. */
function behind(instruction: readonly number[], sizeBytes: number): readonly number[] {
  const found: number[] = [];
  for (let at = 0; at + sizeBytes < code.callTrampolinesOffset; at++) {
    if (instruction.every((byte, index) => bytes[at + index] === byte)) found.push(at + sizeBytes);
  }
  return found;
}

describe('a return address in the agent', () => {
  it('is that of a real call behind a call by way of the stack', () => {
    const returns = [...behind([0xff, 0x54, 0x24], 4), ...behind([0xff, 0x94, 0x24], 7)];
    expect(returns.length).toBeGreaterThan(5);
    expect(returns.filter((offset) => !isReturnOfRealCall(code, offset))).toEqual([]);
  });

  it('is that of a real call behind a call of a trampoline', () => {
    const calls = behind([0xe8], 5).filter((offset) => {
      const distance = new DataView(bytes.buffer, bytes.byteOffset + offset - 4, 4).getInt32(0, true);
      return isInTrampoline(code, offset + distance);
    });
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.filter((offset) => !isReturnOfRealCall(code, offset))).toEqual([]);
  });

  it('is none behind a call by way of an import slot, which recording code makes', () => {
    const returns = behind([0xff, 0x15], 6);
    expect(returns.length).toBeGreaterThan(20);
    expect(returns.filter((offset) => isReturnOfRealCall(code, offset))).toEqual([]);
  });

  it('is none outside of the image', () => {
    expect([0, 3, bytes.length + 100].map((offset) => isReturnOfRealCall(code, offset))).toEqual([false, false, false]);
  });
});

describe('a trampoline', () => {
  it('lies between the first and the last', () => {
    const { callTrampolinesOffset, functionTrampolineSlotsOffset } = code;
    expect(isInTrampoline(code, callTrampolinesOffset)).toBe(true);
    expect(isInTrampoline(code, callTrampolinesOffset - 1)).toBe(false);
    expect(isInTrampoline(code, functionTrampolineSlotsOffset - 1)).toBe(true);
    expect(isInTrampoline(code, functionTrampolineSlotsOffset)).toBe(false);
    expect(isInTrampoline(code, 0)).toBe(false);
  });
});
