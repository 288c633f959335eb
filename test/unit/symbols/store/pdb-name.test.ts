import { expect, it } from 'vitest';

import { pdbName, readPointer, storeParts } from '../../../../src/symbols/store/pdb-name.ts';

const id = '3249D99D0C4049318610F4E4FB0B69361';

it.each([
  ['C:\\build\\app.pdb', 'app.pdb'],
  ['/home/me/app.pdb', 'app.pdb'],
  ['\\\\host\\share\\app.pdb', 'app.pdb'],
  ['C:app.pdb', 'app.pdb'],
  ['app.pdb', 'app.pdb'],
  ['C:\\a\\..', undefined],
  ['C:\\a\\nul', undefined],
  ['C:\\a\\app.pdb:stream', undefined],
  ['C:\\a\\app.pdb ', undefined],
  ['', undefined],
])('of the path %j only the name %j is looked for', (path, name) => {
  expect(pdbName({ path, id })).toBe(name);
});

it('a store has a file by its name and its id, and groups them if it has two tiers', () => {
  expect(storeParts('App.pdb', id, 'App.pd_', false)).toEqual(['App.pdb', id, 'App.pd_']);
  expect(storeParts('App.pdb', id, 'App.pdb', true)).toEqual(['ap', 'App.pdb', id, 'App.pdb']);
});

it.each([
  ['PATH:C:\\a\\app.pdb', 'C:\\a\\app.pdb'],
  ['path: \\\\host\\share\\app.pdb \r\n', '\\\\host\\share\\app.pdb'],
  ['MSG: the file is gone', undefined],
  ['', undefined],
])('a pointer with %j leads to %j', (text, path) => {
  expect(readPointer(text)).toBe(path);
});
