import { describe, expect, test } from 'vitest';

import { at } from '../../../src/agent/asm/operands.ts';
import { rbx, rsp } from '../../../src/agent/asm/registers.ts';
import { framePlaces } from '../../../src/agent/emit/abi/frame-places.ts';
import {
  ATTRIBUTES,
  hookFrame,
  hookPlaces,
  receivers,
  RESULT,
  ROW,
  sharedPlaces,
  SPARE,
  TRAMPOLINE,
  usedHandles,
} from '../../../src/agent/emit/hooks/hook-frame.ts';

describe('places in a frame', () => {
  test('follow each other from the offset on', () => {
    expect(framePlaces({ pushes: [rbx], sizeBytes: 0x30 }, 0x20, 'a', 'b')).toEqual({
      a: at(rsp, 0x20),
      b: at(rsp, 0x28),
    });
  });

  test('may not lie outside the frame, where registers and the return address are saved', () => {
    expect(() => framePlaces({ pushes: [rbx], sizeBytes: 0x30 }, 0x20, 'a', 'b', 'c')).toThrow('has no room for 3');
  });
});

describe('places of a hook', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;

  test.each([
    ['a hook of its own', hookPlaces, 7],
    ['a shared body', sharedPlaces, 5],
  ])('%s has no more places than it can keep to itself', (_, namePlaces, count) => {
    const places = Object.values(namePlaces(...names.slice(0, count)));
    expect(places).toHaveLength(count);
    expect(places).not.toContainEqual(RESULT);
    if (namePlaces === sharedPlaces) for (const taken of [ROW, TRAMPOLINE]) expect(places).not.toContainEqual(taken);
    expect(() => namePlaces(...names.slice(0, count + 1))).toThrow(`a hook has ${count} places`);
  });

  test('of a call that opens do not overlap', () => {
    const shared = [...usedHandles, ATTRIBUTES, receivers[0], ROW, TRAMPOLINE, RESULT];
    const own = [...usedHandles, ATTRIBUTES, ...receivers, SPARE, RESULT];
    for (const places of [shared, own])
      expect(new Set(places.map(({ displacement }) => displacement)).size).toBe(places.length);
  });

  test('lie in its frame', () => {
    expect(RESULT.displacement + 8).toBe(hookFrame.sizeBytes);
  });
});
