import { expect, test } from 'vitest';

import type { Module } from '../../../src/process/modules.ts';
import { ModuleMap } from '../../../src/symbols/module-map.ts';

const module = (name: string, base: number, sizeBytes = 0x1000): Module => ({
  base: BigInt(base),
  sizeBytes,
  name,
  path: `C:\\${name}`,
  isSystem: false,
});

/** The modules at some addresses, by their names. */
function namesAt(map: ModuleMap, ...addresses: readonly number[]): readonly (string | undefined)[] {
  return addresses.map((address) => map.at(BigInt(address))?.name);
}

function mapOf(...modules: readonly Module[]): ModuleMap {
  const map = new ModuleMap();
  map.add(modules);
  return map;
}

test('an address is in the module that holds it, up to its last byte', () => {
  const map = mapOf(module('b', 0x3000), module('a', 0x1000));
  expect(namesAt(map, 0, 0xfff, 0x1000, 0x1fff, 0x2000, 0x2fff, 0x3000, 0x3fff, 0x4000)).toEqual([
    ...[undefined, undefined, 'a', 'a', undefined, undefined, 'b', 'b', undefined],
  ]);
});

test.each<[title: string, added: Module, names: readonly (string | undefined)[]]>([
  ['the place of a known one', module('new', 0x3000), ['a', undefined, 'new', undefined]],
  ['a part of it', module('new', 0x3800, 0x100), ['a', undefined, undefined, undefined]],
  ['its end', module('new', 0x3fff), ['a', undefined, undefined, 'new']],
  ['its beginning', module('new', 0x2000, 0x1001), ['a', 'new', 'new', undefined]],
  ['several', module('new', 0x1fff, 0x2000), [undefined, 'new', 'new', undefined]],
  ['the place between two', module('new', 0x2000), ['a', 'new', 'b', undefined]],
])('a module that takes %s is ignored where it overlaps, and replaces where it is the latest', (_, added, names) => {
  const known = [module('a', 0x1000), module('b', 0x3000)];
  const places = [0x1000, 0x2000, 0x3000, 0x4000];
  const latest = mapOf(...known);
  latest.addLatest([added]);
  expect(namesAt(latest, ...places)).toEqual(names);
  const isFree = names[0] === 'a' && names[2] === 'b';
  expect(namesAt(mapOf(...known, added), ...places)).toEqual(isFree ? names : ['a', undefined, 'b', undefined]);
});

test('of the latest modules at one place the first counts, whether it was known or not', () => {
  const map = mapOf(module('a', 0x1000));
  map.addLatest([module('A', 0x1000), module('b', 0x1800)]);
  expect(namesAt(map, 0x1000, 0x2000)).toEqual(['a', undefined]);
  map.addLatest([module('c', 0x1000), module('b', 0x1800)]);
  expect(namesAt(map, 0x1000, 0x2000)).toEqual(['c', undefined]);
});

test('a known module stays the same where it is added once more', () => {
  const known = module('a', 0x1000);
  const map = mapOf(known);
  map.addLatest([module('a', 0x1000)]);
  expect(map.at(0x1000n)).toBe(known);
});
