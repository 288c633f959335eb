import type * as fs from 'node:fs';
import { expect, it } from 'vitest';

import { aliasTarget } from '../../../src/process/program.ts';

const python = 'C:\\Program Files\\WindowsApps\\Python\\python3.12.exe';

/** A disk with one path, and perhaps the program that it leads to. */
function diskWith(isLink: boolean, isTargetThere: boolean, isUsable = false): Parameters<typeof aliasTarget>[1] {
  return {
    existsSync: (path: fs.PathLike) => (path === python ? isTargetThere : isUsable),
    lstatSync: (() => ({ isSymbolicLink: () => isLink })) as unknown as typeof fs.lstatSync,
    readlinkSync: (() => python) as unknown as typeof fs.readlinkSync,
  };
}

it.each([
  ['an alias leads to its program', diskWith(true, true), python],
  ['a link to nowhere is none', diskWith(true, false), undefined],
  ['a link that can be followed is none', diskWith(true, true, true), undefined],
  ['a file is none', diskWith(false, true), undefined],
])('%s', (_, disk, expected) => {
  expect(aliasTarget('C:\\Users\\jane\\WindowsApps\\python.exe', disk)).toBe(expected);
});

it('a path without a file is no alias', () => {
  expect(aliasTarget('C:\\nowhere\\python.exe')).toBe(undefined);
});
