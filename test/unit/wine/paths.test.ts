import { describe, expect, it } from 'vitest';
import { toUnixPath, toWindowsPath, toWindowsSymbolPath } from '../../../src/wine/paths.ts';

describe('toWindowsPath', () => {
  it.each([
    ['/home/me/app.exe', 'Z:\\home\\me\\app.exe', 'an absolute Unix path is on drive Z:'],
    ['/', 'Z:\\', 'so is the root'],
    ['/ünï/a b.exe', 'Z:\\ünï\\a b.exe', 'letters and spaces are kept'],
    ['./app.exe', './app.exe', 'a relative Unix path stays'],
    ['build/app.exe', 'build/app.exe', 'a relative path with a directory stays'],
    ['app.exe', 'app.exe', 'a bare name stays, to be looked up'],
    ['C:\\Program Files\\app.exe', 'C:\\Program Files\\app.exe', 'a Windows path stays'],
    ['c:/app.exe', 'c:/app.exe', 'a Windows path with slashes stays'],
    ['..\\app.exe', '..\\app.exe', 'a relative Windows path stays'],
    ['\\\\server\\share\\app.exe', '\\\\server\\share\\app.exe', 'a UNC path stays'],
    ['//server/share/app.exe', '//server/share/app.exe', 'a UNC path with slashes stays'],
    ['\\\\.\\pipe\\x', '\\\\.\\pipe\\x', 'a device path stays'],
    ['', '', 'nothing stays nothing'],
  ])('%j -> %j: %s', (path, expected) => {
    expect(toWindowsPath(path)).toBe(expected);
  });
});

describe('toWindowsSymbolPath', () => {
  it.each([
    ['/home/me/pdb;C:\\pdb;', 'Z:\\home\\me\\pdb;C:\\pdb;'],
    ['srv*C:\\cache*https://example.com/symbols', 'srv*C:\\cache*https://example.com/symbols'],
    ['srv*/home/me/cache*https://example.com/;cache*/c', 'srv*Z:\\home\\me\\cache*https://example.com/;cache*Z:\\c'],
    ['', ''],
  ])('%j -> %j', (path, expected) => {
    expect(toWindowsSymbolPath(path)).toBe(expected);
  });
});

describe('toUnixPath', () => {
  it.each([
    ['Z:\\home\\me\\app.exe', '/home/me/app.exe'],
    ['z:/home/me', '/home/me'],
    ['\\\\?\\Z:\\home', '/home'],
    ['Z:\\', '/'],
    ['C:\\windows', undefined],
    ['Z:relative', undefined],
    ['/home', undefined],
    ['', undefined],
  ])('%j -> %j', (path, expected) => {
    expect(toUnixPath(path)).toBe(expected);
  });

  it('undoes toWindowsPath for absolute Unix paths', () => {
    for (const path of ['/', '/a', '/a/b.c', '/a b/ü']) expect(toUnixPath(toWindowsPath(path))).toBe(path);
  });
});
