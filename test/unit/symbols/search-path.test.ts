import { expect, it } from 'vitest';

import { splitSymbolPath } from '../../../src/symbols/search-path.ts';

it.each([
  ['', [], []],
  ['C:\\pdb', ['C:\\pdb'], []],
  [' C:\\a ; ;D:\\b;', ['C:\\a', 'D:\\b'], []],
  ['srv*https://example.com/symbols', [], ['https://example.com/symbols']],
  ['C:\\pdb;SRV*C:\\cache*https://example.com/symbols', ['C:\\pdb'], ['https://example.com/symbols']],
  ['symsrv*symsrv.dll*C:\\cache*\\\\server\\share', [], ['\\\\server\\share']],
  ['srv*', [], ['srv*']],
  ['cache*C:\\cache;C:\\pdb', ['C:\\pdb'], []],
])('the symbol path %j has directories %j and servers %j', (path, directories, servers) => {
  expect(splitSymbolPath(path)).toEqual({ directories, servers });
});
