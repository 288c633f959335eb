import { describe, expect, test } from 'vitest';

import {
  header,
  HEADER_SIZE_BYTES,
  PENDING_ACCEPT_COUNT,
  PENDING_ACCEPT_SIZE_BYTES,
  SLOT_SIZE_BYTES,
  WALKER_COUNT,
} from '../../../src/agent/ledger/layout.ts';
import { RUNTIME_OBJECT_SIZE_BYTES } from '../../../src/agent/ledger/runtime-object.ts';
import { image, IMAGE_SIZE_BYTES } from '../../../src/agent/ledger/image.ts';
import { misuse, MISUSE_SIZE_BYTES, MISUSE_VALUE_COUNT } from '../../../src/agent/ledger/misuse.ts';
import { type FieldType, struct } from '../../../src/agent/ledger/struct.ts';

type Fields = Readonly<Record<string, FieldType>>;

describe('struct', () => {
  test.each<[string, Fields, object, number]>([
    ['no fields', {}, {}, 0],
    ['one number', { a: 'u32' }, { a: 0 }, 4],
    [
      'numbers of each size',
      { a: 'u64', b: 'u32', c: 'u16', d: 'u8', e: 'u8' },
      { a: 0, b: 8, c: 12, d: 14, e: 15 },
      16,
    ],
    ['numbers in a row', { a: 'u32[3]', b: 'u32' }, { a: 0, b: 12 }, 16],
    ['named padding', { a: 'u8', padding: 'u8[3]', b: 'u32' }, { a: 0, padding: 1, b: 4 }, 8],
    ['a list of any length at the end', { a: 'u64', b: 'u64[0]' }, { a: 0, b: 8 }, 8],
  ])('places %s one after the other', (_, fields, offsets, sizeBytes) => {
    expect(struct(fields)).toEqual({ offsets, sizeBytes });
  });

  test('gives no byte to two fields', () => {
    const fields = { a: 'u64', b: 'u32[2]', c: 'u16', d: 'u8[6]', e: 'u64[4]' } as const;
    const sizes = { a: 8, b: 8, c: 2, d: 6, e: 32 };
    const { offsets, sizeBytes } = struct(fields);
    const users = new Uint8Array(sizeBytes);
    for (const [name, offset] of Object.entries(offsets))
      for (let byte = offset; byte < offset + sizes[name as keyof typeof sizes]; byte++) users[byte]!++;
    expect([...users].every((count) => count === 1)).toBe(true);
  });

  test.each<[string, Fields, string]>([
    ['a field that is not aligned', { a: 'u8', b: 'u32' }, 'the field b at 1 is not aligned to 4 bytes: add 3'],
    ['a row that is not aligned', { a: 'u32', b: 'u64[2]' }, 'the field b at 4 is not aligned to 8 bytes: add 4'],
    ['an end that is not aligned', { a: 'u64', b: 'u16' }, 'the end at 10 is not aligned to 8 bytes: add 6'],
  ])('refuses %s, and says what is missing', (_, fields, message) => {
    expect(() => struct(fields)).toThrow(message);
  });

  test.each(['u24', 'i32', 'u8[]', 'u8[-1]', 'u8[1.5]', ' u8', 'toString'])('knows no type %j', (type) => {
    expect(() => struct({ a: type as FieldType })).toThrow('the field a has no known type');
  });
});

describe('the records of the ledger', () => {
  test('keep the offsets that agents and tests of other versions know', () => {
    expect(header).toMatchObject({
      magic: 0x00,
      pendingAccepts: 0x38,
      gateState: 0x40,
      gateExitCode: 0x60,
      exiting: 0x7c,
      pendingAcceptTable: 0x80,
      exitingTime: 0x900,
      inheritanceChanges: 0x940,
      walkers: 0x1000,
    });
    expect(HEADER_SIZE_BYTES).toBe(0x5000);
  });

  test.each([
    ['a slot', SLOT_SIZE_BYTES, 64],
    ['a runtime object', RUNTIME_OBJECT_SIZE_BYTES, 128],
    ['a misuse', MISUSE_SIZE_BYTES, 512],
    ['an image', IMAGE_SIZE_BYTES, 1024],
  ])(
    '%s has a size that is a power of two, for its address comes from its index by a shift',
    (_, sizeBytes, expected) => {
      expect(sizeBytes).toBe(expected);
    },
  );

  test('have room for what their counts say', () => {
    expect(header.pendingAcceptTable + PENDING_ACCEPT_COUNT * PENDING_ACCEPT_SIZE_BYTES).toBeLessThanOrEqual(
      header.exitingTime,
    );
    expect(header.walkers + WALKER_COUNT * 4).toBe(HEADER_SIZE_BYTES);
    expect(misuse.life + SLOT_SIZE_BYTES).toBe(misuse.victimStack);
    expect(misuse.values + MISUSE_VALUE_COUNT * 8).toBeLessThanOrEqual(MISUSE_SIZE_BYTES);
    expect(image.pathText).toBe(image.path + 16); // sizeof UNICODE_STRING
  });
});
