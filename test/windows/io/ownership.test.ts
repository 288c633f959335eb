import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { GetHandleInformation } from '../../../src/ffi/kernel32.ts';
import {
  CURRENT_PROCESS,
  keepOwnerStacks,
  type LiveOwner,
  liveOwners,
  NULL_HANDLE,
  OwnedHandle,
  type RawHandle,
  setForgottenOwnerHandler,
} from '../../../src/io/index.ts';
import { newEvent, newSocket, SOCK_DGRAM } from './win32.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('liveOwners()', () => {
  test('lists what has yet to be closed, with its maker', () => {
    expect(liveOwners()).toEqual([]);
    {
      using event = newEvent();
      using socket = newSocket(SOCK_DGRAM);
      expect(liveOwners()).toEqual([
        { kind: 'handle', raw: event.asRawHandle(), stack: expect.stringContaining('newEvent'), forgotten: false },
        { kind: 'socket', raw: socket.asRawSocket(), stack: expect.stringContaining('newSocket'), forgotten: false },
      ]);
    }
    expect(liveOwners()).toEqual([]);
  });

  test('lists a moved handle once, and one that was given away not at all', () => {
    using first = newEvent();
    using second = first.move();
    expect(liveOwners()).toHaveLength(1);
    const raw = second.intoRawHandle();
    expect(liveOwners()).toHaveLength(0);
    OwnedHandle.fromRawHandle(raw).close();
  });

  test('leaves out what needs no close', () => {
    using _null = OwnedHandle.fromRawHandle(NULL_HANDLE);
    using _self = OwnedHandle.fromRawHandle(CURRENT_PROCESS);
    expect(liveOwners()).toEqual([]);
  });

  test('tells no stacks while they are off', () => {
    expect(keepOwnerStacks(false)).toBe(true);
    onTestFinished(() => void keepOwnerStacks(true));
    using _ = newEvent();
    expect(liveOwners()).toEqual([expect.objectContaining({ stack: '' })]);
  });
});

describe('an owner that is forgotten', () => {
  /** Makes owners in frames that are gone when it returns. */
  function forget(): { forgotten: RawHandle; borrowed: RawHandle } {
    const forgotten = newEvent().asRawHandle();
    const owner = newEvent();
    const borrow = owner.asHandle();
    borrows.push(borrow.asRawHandle.bind(borrow));
    newEvent().close();
    newEvent().move().close();
    OwnedHandle.fromRawHandle(newEvent().intoRawHandle()).close();
    return { forgotten, borrowed: borrow.asRawHandle() };
  }
  const borrows: (() => RawHandle)[] = [];

  test('is reported once with the stack that made it, and its handle is never closed', async () => {
    const reports: LiveOwner[] = [];
    const previous = setForgottenOwnerHandler((owner) => reports.push(owner));
    onTestFinished(() => void setForgottenOwnerHandler(previous));

    const { forgotten, borrowed } = forget();
    for (let attempt = 0; attempt < 50 && reports.length < 2; attempt += 1) {
      collectGarbage();
      await sleep(10);
    }

    const stack = expect.stringContaining('forget');
    const expected = [forgotten, borrowed].map((raw) => ({ kind: 'handle', raw, stack, forgotten: true }));
    expect(reports).toHaveLength(2);
    expect(reports).toEqual(expect.arrayContaining(expected));
    expect(liveOwners()).toEqual(expect.arrayContaining(expected));
    for (const raw of [forgotten, borrowed]) {
      expect(GetHandleInformation(raw, new Uint32Array(1))).toBe(true);
      OwnedHandle.fromRawHandle(raw).close();
    }
  });
});
