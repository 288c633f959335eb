import { expect, it } from 'vitest';

import { displayName, type NameContext } from '../../src/handles/display-name.ts';

const context: NameContext = {
  drives: new Map([
    ['C:', '\\Device\\HarddiskVolume1'],
    ['D:', '\\Device\\HarddiskVolume10'],
  ]),
  currentUserKey: '\\Registry\\User\\S-1-5-21-1-2-3-1000',
};

it.each([
  ['File', '\\Device\\HarddiskVolume1\\Users\\me\\a.txt', 'C:\\Users\\me\\a.txt'],
  ['File', '\\Device\\HarddiskVolume10\\a.txt', 'D:\\a.txt'],
  ['File', '\\Device\\HarddiskVolume10', 'D:'],
  ['File', '\\Device\\HarddiskVolume2\\a.txt', '\\Device\\HarddiskVolume2\\a.txt'],
  ['File', '\\??\\C:\\windows\\win.ini', 'C:\\windows\\win.ini'],
  ['File', '\\??\\unix\\proc\\1\\maps', '\\\\?\\unix\\proc\\1\\maps'],
  ['File', '\\Device\\NamedPipe\\mojo.1', '\\\\.\\pipe\\mojo.1'],
  ['File', '\\Device\\NamedPipe', '\\\\.\\pipe'],
  ['File', '\\Device\\NamedPipeX\\a', '\\Device\\NamedPipeX\\a'],
  ['File', '\\Device\\MailSlot\\m', '\\\\.\\mailslot\\m'],
  ['File', '\\Device\\Mup\\server\\share\\a', '\\\\server\\share\\a'],
  ['File', '\\Device\\Mup\\;LanmanRedirector\\;Z:000000000001a2b3\\server\\share\\a', '\\\\server\\share\\a'],
  ['File', '\\Device\\Null', 'NUL'],
  ['File', '\\Device\\ConDrv\\Input', '\\Device\\ConDrv\\Input'],
  ['Key', '\\REGISTRY\\MACHINE\\SOFTWARE\\x', 'HKLM\\SOFTWARE\\x'],
  ['Key', '\\REGISTRY\\Machine', 'HKLM'],
  ['Key', '\\REGISTRY\\USER\\S-1-5-21-1-2-3-1000\\Environment', 'HKCU\\Environment'],
  ['Key', '\\REGISTRY\\USER\\S-1-5-21-1-2-3-1000_Classes\\.txt', 'HKCU\\Software\\Classes\\.txt'],
  ['Key', '\\REGISTRY\\USER\\S-1-5-21-1-2-3-10001\\x', 'HKU\\S-1-5-21-1-2-3-10001\\x'],
  ['Key', '\\REGISTRY\\A\\{123}', '\\REGISTRY\\A\\{123}'],
  ['Event', '\\Sessions\\1\\BaseNamedObjects\\e', '\\Sessions\\1\\BaseNamedObjects\\e'],
  ['Event', '\\??\\C:\\e', '\\??\\C:\\e'],
])('%s %s is shown as %s', (type, kernelName, shown) => {
  expect(displayName(type, kernelName, context)).toBe(shown);
});

it('keeps every character of a hostile name', () => {
  const name = '\\??\\C:\\a\u001b[31m\n"<script>\ud800';
  expect(displayName('File', name, context)).toBe('C:\\a\u001b[31m\n"<script>\ud800');
});

it('says HKU for every user where the current one is not known', () => {
  expect(displayName('Key', '\\REGISTRY\\USER\\S-1-5-21-1-2-3-1000\\x', { drives: new Map() })).toBe(
    'HKU\\S-1-5-21-1-2-3-1000\\x',
  );
});
