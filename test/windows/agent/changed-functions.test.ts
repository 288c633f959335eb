import { expect, test } from 'vitest';

import { findFunctions } from '../../../src/agent/inject/locate/locate-functions.ts';
import { GetModuleHandleW, GetProcAddress, VirtualProtectEx } from '../../../src/ffi/kernel32.ts';
import { viewMemory } from '../../../src/ffi/library.ts';
import { CURRENT_PROCESS } from '../../../src/io/index.ts';

const PAGE_EXECUTE_READWRITE = 0x40;
/** `mov rax, imm64; jmp rax` */
const FOREIGN_JUMP = [0x48, 0xb8, 0, 0, 0, 0, 0xff, 0x7f, 0, 0, 0xff, 0xe0];

const hookOf = (name: string) =>
  findFunctions()
    .modules.flatMap(({ functions }) => functions)
    .find(({ row }) => row.name === name);

test('a function that other software has changed in this process is hooked by the bytes of its file', () => {
  const before = hookOf('listen')!;
  const address = GetProcAddress(GetModuleHandleW('ws2_32.dll'), 'listen');
  expect(VirtualProtectEx(CURRENT_PROCESS, address, 16n, PAGE_EXECUTE_READWRITE, new Uint32Array(1))).toBe(true);
  const code = new Uint8Array(viewMemory(address, FOREIGN_JUMP.length));
  const own = code.slice();
  code.set(FOREIGN_JUMP);
  try {
    const after = hookOf('listen');
    expect(after?.code).toEqual(before.code);
    expect(after?.moved).toEqual(before.moved);
  } finally {
    code.set(own);
  }
});
