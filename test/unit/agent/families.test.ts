import { expect, test } from 'vitest';

import { familyBits } from '../../../src/agent/tables/families.ts';
import { functionTable } from '../../../src/agent/tables/function-table.ts';

const RUNTIME_FAMILY = familyBits(functionTable.find(({ name }) => name === '_open')!).needed;

function bitsOf(name: string) {
  return familyBits(functionTable.find((row) => row.name === name)!);
}

test.each(['_open', '_close', 'fopen', 'fclose', '_dup2'])(
  'descriptors and streams cannot be followed without %s',
  (name) => {
    expect(bitsOf(name)).toEqual({ touched: RUNTIME_FAMILY, needed: RUNTIME_FAMILY });
  },
);

test.each(['_read', 'fgets', '_fcloseall'])('descriptors and streams can be followed without %s', (name) => {
  expect(bitsOf(name)).toEqual({ touched: RUNTIME_FAMILY, needed: 0 });
});

test('searches, pseudo consoles and change notifications are families of their own', () => {
  const bits = ['FindFirstFileW', 'CreatePseudoConsole', 'FindFirstChangeNotificationW', '_open'].map(
    (name) => bitsOf(name).needed,
  );
  expect(new Set(bits).size).toBe(4);
  expect(
    bits
      .reduce((all, each) => all | each, 0)
      .toString(2)
      .replaceAll('0', ''),
  ).toHaveLength(4);
});

test('requests of libuv are a family, which nothing else belongs to', () => {
  const { touched, needed } = bitsOf('uv_fs_open');
  expect(bitsOf('uv_queue_work')).toEqual({ touched: needed, needed });
  expect(touched).toBe(needed);
  for (const row of functionTable.filter(({ kind }) => kind !== 'request'))
    expect(familyBits(row).touched & needed).toBe(0);
});

test('sockets and keys depend on no other function', () => {
  expect(bitsOf('closesocket')).toEqual({ touched: 0, needed: 0 });
  expect(bitsOf('RegCloseKey')).toEqual({ touched: 0, needed: 0 });
});
