import { expect, test } from 'vitest';

import { findLibuv, type Libuv } from '../../../../src/agent/inject/locate/locate-libuv.ts';
import { requestFunctions } from '../../../../src/agent/tables/request-functions.ts';
import { GetModuleHandleW } from '../../../../src/ffi/kernel32.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../../src/io/index.ts';

const here = BorrowedHandle.borrowRaw(CURRENT_PROCESS);
const spell = ({ functions }: Libuv) =>
  functions.map(({ code, address, moved }) => ({ code: Buffer.from(code).toString('hex'), address, moved }));
const find = (path?: string) => findLibuv(here, GetModuleHandleW(null), path);

test('the functions of libuv are the same in the file of a program as in its memory', () => {
  const found = find(process.execPath)!;
  expect(found.functions.map(({ row }) => row.name)).toEqual(requestFunctions.map(({ name }) => name));
  expect(spell(found)).toEqual(spell(find()!));
});

test.each([
  ['that is gone', 'Z:\\gone\\node.exe'],
  ['that has become another', 'C:\\windows\\system32\\ntdll.dll'],
])('no function of libuv is known by a file %s', (_what, path) => {
  expect(find(path)).toMatchObject({ functions: [], unknown: requestFunctions.length });
});

test('a DLL has no functions of libuv', () => {
  expect(findLibuv(here, GetModuleHandleW('ntdll.dll'))).toBeUndefined();
});
