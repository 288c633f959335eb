import { describe, expect, it } from 'vitest';

import { isPlainFileName, openTargetFile, toTargetFilePath } from '../../../src/process/target-file.ts';

const context = { workingDirectory: 'C:\\work', isNetworkDrive: (root: string) => root.toLowerCase() === 'n:\\' };

const toPath = (path: string, userPaths: readonly string[] = [], workingDirectory = context.workingDirectory) =>
  toTargetFilePath(path, userPaths, { ...context, workingDirectory });

describe('a path from a target becomes the path of a file on a disk', () => {
  it.each([
    ['on a drive', 'C:\\src\\app.c', 'C:\\src\\app.c'],
    ['with slashes', 'd:/src/./lib/../app.c', 'd:\\src\\app.c'],
    ['with the prefix of Win32', '\\\\?\\C:\\app.dll', 'C:\\app.dll'],
    ['with the prefix of the kernel', '\\??\\C:\\app.dll', 'C:\\app.dll'],
    ['relative to the working directory', 'lib\\app.c', 'C:\\work\\lib\\app.c'],
    ['relative to its drive', '/usr/src/app.c', 'C:\\usr\\src\\app.c'],
    ['with a name that only begins like a device', 'C:\\console.c', 'C:\\console.c'],
    ['with a directory that is named like a device', 'C:\\aux\\app.c', 'C:\\aux\\app.c'],
    ['with letters of any language', 'C:\\größe\\日本.c', 'C:\\größe\\日本.c'],
  ])('%s', (_, path, expected) => {
    expect(toPath(path)).toBe(expected);
  });
});

describe('a path from a target is refused before anything is opened', () => {
  it.each([
    ['a share', '\\\\host\\share\\app.dll'],
    ['a share with slashes, as #line may name it', '//host/share/x.c'],
    ['a share with the prefix of Win32', '\\\\?\\UNC\\host\\share\\x.c'],
    ['a share with the prefix of the kernel', '\\??\\UNC\\host\\share\\x.c'],
    ['a WebDAV server', '\\\\host@SSL\\DavWWWRoot\\x.c'],
    ['a pipe of this machine', '\\\\.\\pipe\\x'],
    ['a pipe of this machine by its host name', '\\\\localhost\\pipe\\x'],
    ['a pipe of another machine', '\\\\host\\pipe\\x'],
    ['a device with slashes', '//./PhysicalDrive0'],
    ['a volume by its identifier', '\\\\?\\Volume{00000000-0000-0000-0000-000000000000}\\x.c'],
    ['the whole name space of the kernel', '\\\\?\\GLOBALROOT\\Device\\Mup\\host\\share\\x.c'],
    ['a device behind the prefix of the kernel', '\\??\\PIPE\\x'],
    ['a mapped network drive', 'N:\\src\\app.c'],
    ['a mapped network drive with a prefix', '\\\\?\\n:\\src\\app.c'],
    ['an alternate stream', 'C:\\src\\app.c:hidden'],
    ['an alternate stream of a directory', 'C:\\src:hidden\\app.c'],
    ['NUL', 'NUL'],
    ['CON in a directory', 'C:\\src\\con'],
    ['COM1 with an extension', 'C:\\src\\COM1.c'],
    ['LPT1 with spaces', 'C:\\src\\lpt1 .c'],
    ['COM with a superscript', 'C:\\src\\COM¹'],
    ['the console’s input', 'conin$'],
    ['a NUL character', 'C:\\src\\app.c\0.txt'],
    ['a pattern', 'C:\\src\\*.c'],
  ])('%s', (_, path) => {
    expect(toPath(path)).toBeUndefined();
    // The same for the functions that open: on this machine none of these names is chosen by its user.
    if (!/^(\\\\\?\\)?n:/i.test(path)) {
      expect(openTargetFile(path, { sizeBytesMax: 1 << 20 })).toBeUndefined();
    }
  });
});

describe('a machine that the user has chosen is asked', () => {
  it.each([
    ['because the program is on that share', '\\\\host\\share\\src\\app.c', '\\\\HOST\\share\\app.exe', 'C:\\work'],
    ['because the program is on that drive', 'N:\\src\\app.c', 'n:\\bin\\app.exe', 'C:\\work'],
    ['because the working directory is on that share', '\\\\host\\share\\x.c', 'C:\\app.exe', '\\\\host\\share\\work'],
    ['because the working directory is on that drive', 'N:\\x.c', 'C:\\app.exe', 'N:\\work'],
  ])('%s', (_, path, program, workingDirectory) => {
    expect(toPath(path, [program], workingDirectory)).toBe(path);
  });

  it.each([
    ['another share of that machine', '\\\\host\\other\\app.c', '\\\\host\\share\\app.exe'],
    ['a share of a machine with a similar name', '\\\\host2\\share\\app.c', '\\\\host\\share\\app.exe'],
    ['a pipe of that machine', '\\\\host\\pipe\\app', '\\\\host\\share\\app.exe'],
  ])('%s is not', (_, path, program) => {
    expect(toPath(path, [program])).toBeUndefined();
  });

  it('a relative path stays on the share of the working directory', () => {
    expect(toPath('..\\..\\..\\other\\x.c', [], '\\\\host\\share\\work')).toBe('\\\\host\\share\\other\\x.c');
  });
});

describe('a plain file name', () => {
  it.each(['app.pdb', 'größe 日本.pdb', '.pdb', 'console.pdb', 'a'.repeat(255)])('%j is one', (name) => {
    expect(isPlainFileName(name)).toBe(true);
  });

  it.each([
    ...[
      '',
      '.',
      '..',
      'a\\b',
      'a/b',
      'C:a',
      'a:b',
      'a?b',
      'a*',
      'a"b',
      'a\0b',
      'a\nb',
      'a.pdb.',
      'a.pdb ',
      'nul',
      'CON.pdb',
    ],
    ...['com1', 'lpt9.pdb', 'a'.repeat(256)],
  ])('%j is none', (name) => {
    expect(isPlainFileName(name)).toBe(false);
  });
});
