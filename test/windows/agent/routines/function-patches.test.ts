import { beforeEach, describe, expect, test } from 'vitest';

import { relative } from '../../../../src/agent/asm/operands.ts';
import { rax } from '../../../../src/agent/asm/registers.ts';
import { emitHookFunctions } from '../../../../src/agent/emit/hooks/function-patches.ts';
import { header } from '../../../../src/agent/ledger/layout.ts';
import {
  emitPatchTable,
  identityOffsets,
  PATCHED_FUNCTION_SIZE_BYTES,
  PATCHED_MODULE_SIZE_BYTES,
  patchedFunction,
  patchedModule,
} from '../../../../src/agent/linkage/patch-table.ts';
import { viewMemory } from '../../../../src/ffi/library.ts';
import { placeRoutines } from './placed-routines.ts';

/** In the data: two images of one DLL, and its functions, 16 bytes each. */
const [IMAGE, SECOND_IMAGE, CODE] = [0x1000, 0x2000, 0x3000];
const PE = 0x80;
const identity = [0x11, 0x22, 0x33];
const [OWN, HOOKED, FOREIGN] = [0x1111n, 0x2222n, 0x3333n];
const STATUS_DYNAMIC_CODE_BLOCKED = 0xc000_0604;
const STATUS_ACCESS_DENIED = 0xc000_0022;

/** An opener and a user of one family, one of another, and a function without any. */
const functions = [
  { touched: 1, needed: 1 },
  { touched: 1, needed: 0 },
  { touched: 2, needed: 2 },
  { touched: 0, needed: 0 },
];

const routines = placeRoutines({
  ntdll: ['NtProtectVirtualMemory'],
  emit(asm, { environment }) {
    const where = asm.label('where');
    const table = emitPatchTable(asm, functions.length);
    asm.align(16);
    emitHookFunctions(asm, environment.hookFunctions, [table], environment);
    asm.bind(where);
    asm.lea(rax, relative(table.module));
    asm.ret();
    return { hookFunctions: environment.hookFunctions, where };
  },
});
const { data, dataAddress, memory } = routines;

const codeOffset = (index: number) => CODE + index * 16;
const codes = () => functions.map((_, index) => data.getBigUint64(codeOffset(index), true));
const map = (image: number) => void routines.call('hookFunctions', { rcx: dataAddress + BigInt(image) });
const counters = () => ({
  hooked: memory.getUint32(header.functionsHooked, true),
  missed: memory.getUint32(header.functionsMissed, true),
  blocked: memory.getUint32(header.functionsBlocked, true),
});

beforeEach(() => {
  routines.reset();
  routines.script({ status: 0 });
  for (const image of [IMAGE, SECOND_IMAGE]) {
    data.setUint32(image + 0x3c, PE, true);
    identityOffsets.forEach((offset, index) => data.setUint32(image + PE + offset, identity[index]!, true));
  }
  const module = routines.call('where', {}).rax;
  const size = PATCHED_MODULE_SIZE_BYTES + functions.length * PATCHED_FUNCTION_SIZE_BYTES;
  const table = new DataView(viewMemory(module, size));
  table.setBigUint64(patchedModule.base, dataAddress + BigInt(IMAGE), true);
  identity.forEach((value, index) => table.setUint32(patchedModule.identity + index * 4, value, true));
  table.setUint32(patchedModule.count, functions.length, true);
  functions.forEach(({ touched, needed }, index) => {
    data.setBigUint64(codeOffset(index), OWN, true);
    const row = PATCHED_MODULE_SIZE_BYTES + index * PATCHED_FUNCTION_SIZE_BYTES;
    table.setBigUint64(row + patchedFunction.address, dataAddress + BigInt(codeOffset(index)), true);
    table.setBigUint64(row + patchedFunction.original, OWN, true);
    table.setBigUint64(row + patchedFunction.replacement, HOOKED, true);
    table.setUint32(row + patchedFunction.touched, touched, true);
    table.setUint32(row + patchedFunction.needed, needed, true);
  });
});

describe('the functions of a DLL that is mapped at its place', () => {
  test('are hooked', () => {
    map(IMAGE);
    expect(codes()).toEqual([HOOKED, HOOKED, HOOKED, HOOKED]);
    expect(counters()).toEqual({ hooked: 4, missed: 0, blocked: 0 });
  });

  test('are given up with the family of an opener that has a foreign jump', () => {
    data.setBigUint64(codeOffset(0), FOREIGN, true);
    map(IMAGE);
    expect(codes()).toEqual([FOREIGN, OWN, HOOKED, HOOKED]);
    expect(counters()).toEqual({ hooked: 2, missed: 2, blocked: 0 });
  });

  test.each([1, 3])('are hooked without one of which no other depends: %i', (index) => {
    data.setBigUint64(codeOffset(index), FOREIGN, true);
    map(IMAGE);
    expect(codes()).toEqual(functions.map((_, each) => (each === index ? FOREIGN : HOOKED)));
    expect(counters()).toEqual({ hooked: 3, missed: 1, blocked: 0 });
  });

  test('are counted apart where the process must not change code', () => {
    routines.script({ status: STATUS_DYNAMIC_CODE_BLOCKED });
    map(IMAGE);
    expect(codes()).toEqual([OWN, OWN, OWN, OWN]);
    expect(counters()).toEqual({ hooked: 0, missed: 0, blocked: 4 });
  });

  test('are missed where Windows refuses for another reason', () => {
    routines.script({ status: STATUS_ACCESS_DENIED });
    map(IMAGE);
    expect(counters()).toEqual({ hooked: 0, missed: 4, blocked: 0 });
  });

  test('are hooked again when it is mapped again, and count once', () => {
    map(IMAGE);
    for (const index of functions.keys()) data.setBigUint64(codeOffset(index), OWN, true);
    map(IMAGE);
    expect(codes()).toEqual([HOOKED, HOOKED, HOOKED, HOOKED]);
    expect(counters()).toEqual({ hooked: 4, missed: 0, blocked: 0 });
  });
});

describe('a second image of a DLL', () => {
  test('is not missed when the first one is hooked', () => {
    map(IMAGE);
    map(SECOND_IMAGE);
    expect(counters()).toEqual({ hooked: 4, missed: 0, blocked: 0 });
  });

  test('is no longer missed when the DLL comes to its place later', () => {
    map(SECOND_IMAGE);
    expect(counters()).toEqual({ hooked: 0, missed: 4, blocked: 0 });
    map(IMAGE);
    expect(counters()).toEqual({ hooked: 4, missed: 0, blocked: 0 });
  });

  test('is missed once, however often it is mapped', () => {
    map(SECOND_IMAGE);
    map(SECOND_IMAGE);
    expect(counters()).toEqual({ hooked: 0, missed: 4, blocked: 0 });
  });
});
