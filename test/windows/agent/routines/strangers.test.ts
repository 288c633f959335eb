import { beforeEach, describe, expect, test } from 'vitest';

import { functionModules, recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import { emitKeepMisuseLives } from '../../../../src/agent/emit/recorder/earlier-lives.ts';
import { emitInternMisuse } from '../../../../src/agent/emit/recorder/intern-misuse.ts';
import { emitClaimRuntimeObject, emitFindRuntimeObject } from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import {
  emitFindStranger,
  emitFindTruncated,
  emitInternWrongCloser,
} from '../../../../src/agent/emit/recorder/strangers.ts';
import { slot } from '../../../../src/agent/ledger/layout.ts';
import { NOTIFICATION_KEY, runtimeObject } from '../../../../src/agent/ledger/runtime-object.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { descriptorKey } from '../../../../src/agent/linkage/runtime-object-row.ts';
import { placeRoutines } from './placed-routines.ts';

const FILE_ADDRESS = 0x2_2830_6250n;
const VALUE = 0x44n;
const CLOSE = BigInt(recordedCalls.findIndex(({ name }) => name === '_close') + 1);
const [OPEN, CLOSED] = [3n, 2n];

const routines = placeRoutines({
  realNtdll: ['NtAllocateVirtualMemory'],
  emit(asm, { environment }) {
    emitFindRuntimeObject(asm, environment.findRuntimeObject, environment);
    emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);
    emitKeepMisuseLives(asm, environment.keepMisuseLives, environment);
    emitInternMisuse(asm, environment.internMisuse, environment);
    emitInternWrongCloser(asm, environment.internWrongCloser, environment);
    emitFindStranger(asm, environment.findStranger, environment);
    emitFindTruncated(asm, environment.findTruncated, environment);
    const { claimRuntimeObject, findStranger, findTruncated, internWrongCloser } = environment;
    return { claimRuntimeObject, findStranger, findTruncated, internWrongCloser };
  },
});
const { memory } = routines;
let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
});

/** Writes a runtime object, and returns its offset in the ledger. */
function write(key: bigint, state: bigint, handle = 0n): number {
  const offset = Number(routines.call('claimRuntimeObject', { rcx: key }).r10 - routines.ledgerAddress);
  memory.setBigUint64(offset + slot.state, state, true);
  memory.setUint32(offset + slot.openedGeneration, 1, true);
  memory.setUint16(offset + slot.objectType, typeIndex('FILE'), true);
  memory.setBigUint64(offset + runtimeObject.handle, handle, true);
  return offset;
}

const [msvcrt, ucrtbase] = [descriptorKey('msvcrt.dll'), descriptorKey('ucrtbase.dll')];

describe('findStranger', () => {
  test.each<[title: string, key: bigint, state: bigint, value: bigint, isFound: boolean]>([
    ['an open descriptor of msvcrt', msvcrt | 3n, OPEN, 3n, true],
    ['an open descriptor of ucrtbase', ucrtbase | 3n, OPEN, 3n, true],
    ['a closed descriptor', msvcrt | 3n, CLOSED, 3n, false],
    ['the descriptor 0, which is NULL', msvcrt | 0n, OPEN, 0n, false],
    ['the highest number of all', msvcrt | 8191n, OPEN, 8191n, true],
    ['a number that no descriptor has', msvcrt | 8192n, OPEN, 8192n, false],
    ['an open FILE', FILE_ADDRESS, OPEN, FILE_ADDRESS, true],
    ['a closed FILE', FILE_ADDRESS, CLOSED, FILE_ADDRESS, false],
    ['a key that is no address', msvcrt | 3n, OPEN, msvcrt | 3n, false],
    ['a change notification', NOTIFICATION_KEY | 0x40n, OPEN, NOTIFICATION_KEY | 0x40n, false],
    ['INVALID_HANDLE_VALUE', FILE_ADDRESS, OPEN, 0xffff_ffff_ffff_ffffn, false],
  ])('%s', (_, key, state, value, isFound) => {
    const offset = write(key, state);
    const { r10, rax } = routines.call('findStranger', { rax: value });
    expect(r10).toBe(isFound ? routines.ledgerAddress + BigInt(offset) : 0n);
    expect(rax).toBe(value);
  });

  test('looks in every C runtime that has descriptors', () => {
    expect(functionModules.map(descriptorKey)).toEqual(expect.arrayContaining([msvcrt, ucrtbase]));
    write(msvcrt | 5n, CLOSED);
    const offset = write(ucrtbase | 5n, OPEN);
    expect(routines.call('findStranger', { rax: 5n }).r10).toBe(routines.ledgerAddress + BigInt(offset));
  });
});

describe('findTruncated', () => {
  test.each<[title: string, key: bigint, state: bigint, isFound: boolean]>([
    ['an open FILE', FILE_ADDRESS, OPEN, true],
    ['a closed FILE', FILE_ADDRESS, CLOSED, false],
    ['a FILE with another low half', FILE_ADDRESS + 8n, OPEN, false],
    ['what is no address', NOTIFICATION_KEY | (FILE_ADDRESS & 0xffff_ffffn), OPEN, false],
  ])('%s', (_, key, state, isFound) => {
    const offset = write(key, state);
    const { r10 } = routines.call('findTruncated', { rax: FILE_ADDRESS & 0xffff_ffffn });
    expect(r10).toBe(isFound ? routines.ledgerAddress + BigInt(offset) : 0n);
  });
});

describe('internWrongCloser', () => {
  const intern = (r10: bigint) =>
    routines.call('internWrongCloser', { rcx: VALUE, rdx: CLOSE, r8: 60n, r9: 0xc000_0008n, r10 }).rax;
  const openSlot = () => {
    const offset = routines.slotOffset(VALUE);
    memory.setBigUint64(offset + slot.state, OPEN, true);
    memory.setUint32(offset + slot.openedGeneration, 1, true);
    return offset;
  };

  test('marks the handle that it is given', () => {
    const offset = openSlot();
    expect(ledger.life(VALUE)).not.toHaveProperty('givenToWrongCloser');
    expect(intern(routines.ledgerAddress + BigInt(offset))).not.toBe(0n);
    expect(ledger.life(VALUE)).toMatchObject({ givenToWrongCloser: true, isOpen: true });
  });

  test('marks the open handle beneath a runtime object', () => {
    openSlot();
    intern(routines.ledgerAddress + BigInt(write(FILE_ADDRESS, OPEN, VALUE)));
    expect(ledger.life(VALUE)).toMatchObject({ givenToWrongCloser: true });
  });

  test('leaves the call and the type of what it marks as they were', () => {
    const offset = openSlot();
    memory.setUint16(offset + slot.openedCall, 7, true);
    memory.setUint16(offset + slot.objectType, typeIndex('Event'), true);
    intern(routines.ledgerAddress + BigInt(offset));
    expect(ledger.life(VALUE)).toMatchObject({
      objectType: 'Event',
      opened: { call: recordedCalls[6]!.name },
      givenToWrongCloser: true,
    });
  });

  test('believes no handle that has no slot', () => {
    expect(intern(routines.ledgerAddress + BigInt(write(FILE_ADDRESS, OPEN, 0xffff_ffff_ffffn)))).not.toBe(0n);
  });
});
