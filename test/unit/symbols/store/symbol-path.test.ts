import { expect, it } from 'vitest';

import { parseSymbolPath, type SymbolPlace } from '../../../../src/symbols/store/symbol-path.ts';

const directory = (path: string): SymbolPlace => ({ kind: 'directory', path });
const store = (directories: readonly string[], server?: string): SymbolPlace => ({
  kind: 'store',
  directories,
  ...(server === undefined ? {} : { server }),
});
const server = 'https://example.com/symbols';

it.each<[path: string, places: readonly SymbolPlace[]]>([
  ['', []],
  ['C:\\pdb', [directory('C:\\pdb')]],
  [' C:\\a ; ;D:\\b;', [directory('C:\\a'), directory('D:\\b')]],
  [`srv*${server}`, [store(['D:\\default'], server)]],
  [`srv**${server}`, [store(['D:\\default'], server)]],
  [`C:\\pdb;SRV*C:\\cache*${server}`, [directory('C:\\pdb'), store(['C:\\cache'], server)]],
  [`srv*C:\\near*\\\\host\\far*${server}`, [store(['C:\\near', '\\\\host\\far'], server)]],
  ['symsrv*symsrv.dll*C:\\cache*\\\\host\\share', [store(['C:\\cache', '\\\\host\\share'])]],
  ['srv*C:\\store', [store(['C:\\store'])]],
  ['srv*', [store(['D:\\default'])]],
  ['symsrv*symsrv.dll', []],
  ['cache*C:\\c;C:\\pdb', [store(['C:\\c']), directory('C:\\pdb')]],
  [`cache*C:\\c;srv*${server}`, [store(['C:\\c']), store(['C:\\c'], server)]],
  [`cache*;${server}`, [store(['D:\\default']), store(['D:\\default'], server)]],
  ['srv*C:\\cache*http://example.com', [store(['C:\\cache'], 'http://example.com')]],
  ['strange*C:\\a', []],
])('the symbol path %j has its places', (path, places) => {
  expect(parseSymbolPath(path, 'D:\\default')).toEqual(places);
});
