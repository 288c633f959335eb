import { describe, expect, test } from 'vitest';

import {
  formatRaw,
  INVALID_SOCKET,
  isAsRawHandle,
  isAsRawSocket,
  isFromRawHandle,
  isFromRawSocket,
  isIntoRawHandle,
  isIntoRawSocket,
  isPseudoHandle,
  unsafeRawHandle,
  unsafeRawSocket,
} from '../../../src/io/raw.ts';

describe('a raw value', () => {
  test.each([
    { value: 0x1a4, handle: 0x1a4n, socket: 0x1a4n, shown: '0x1a4' },
    { value: 0, handle: 0n, socket: 0n, shown: '0x0' },
    { value: -1, handle: -1n, socket: 0xffff_ffff_ffff_ffffn, shown: '0xffffffffffffffff' },
    { value: 0xffff_ffff_ffff_ffffn, handle: -1n, socket: 0xffff_ffff_ffff_ffffn, shown: '0xffffffffffffffff' },
    { value: 2n ** 63n, handle: -(2n ** 63n), socket: 2n ** 63n, shown: '0x8000000000000000' },
    { value: -(2n ** 63n), handle: -(2n ** 63n), socket: 2n ** 63n, shown: '0x8000000000000000' },
  ])('made of $value is handle $handle, socket $socket, and shows as $shown', ({ value, handle, socket, shown }) => {
    expect(unsafeRawHandle(value)).toBe(handle);
    expect(unsafeRawSocket(value)).toBe(socket);
    expect(formatRaw(unsafeRawHandle(value))).toBe(shown);
    expect(formatRaw(unsafeRawSocket(value))).toBe(shown);
  });

  test.each([1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n])(
    'is not made of %s, which is no exact 64-bit integer',
    (value) => {
      expect(() => unsafeRawHandle(value)).toThrow(RangeError);
      expect(() => unsafeRawSocket(value)).toThrow(RangeError);
    },
  );

  test('INVALID_SOCKET is what a signed -1 is', () => {
    expect(unsafeRawSocket(-1)).toBe(INVALID_SOCKET);
  });

  test.each([
    { value: -7, isPseudo: false },
    { value: -6, isPseudo: true },
    { value: -1, isPseudo: true },
    { value: 0, isPseudo: false },
    { value: 4, isPseudo: false },
  ])('$value is a pseudo handle: $isPseudo', ({ value, isPseudo }) => {
    expect(isPseudoHandle(unsafeRawHandle(value))).toBe(isPseudo);
  });
});

describe('a type guard', () => {
  const guards = {
    asRawHandle: isAsRawHandle,
    fromRawHandle: isFromRawHandle,
    intoRawHandle: isIntoRawHandle,
    asRawSocket: isAsRawSocket,
    fromRawSocket: isFromRawSocket,
    intoRawSocket: isIntoRawSocket,
  };

  test.each(Object.entries(guards))('for %s takes an object with that method and nothing else', (method, guard) => {
    expect(guard({ [method]: () => 0n })).toBe(true);
    expect(guard(Object.assign(() => 0, { [method]: () => 0n }))).toBe(true);
    for (const other of Object.keys(guards).filter((name) => name !== method)) {
      expect(guard({ [other]: () => 0n })).toBe(false);
    }
    for (const value of [undefined, null, 0n, 4, 'asRawHandle', {}, { [method]: 4n }]) expect(guard(value)).toBe(false);
  });
});
