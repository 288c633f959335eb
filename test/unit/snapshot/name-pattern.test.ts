import { describe, expect, it } from 'vitest';

import { generaliseName, generaliseSocket } from '../../../src/snapshot/name-pattern.ts';
import { hostileText, randomNumbers } from '../report/hostile.ts';

describe('the pattern of a name leaves open what numbers things', () => {
  it.each([
    ['C:\\logs\\2026-11-22.log', 'C:\\logs\\<n>-<n>-<n>.log'],
    ['C:\\Temp\\file12.tmp', 'C:\\Temp\\file<n>.tmp'],
    [
      'HKLM\\Software\\Classes\\CLSID\\{0002DF01-0000-0000-C000-000000000046}',
      'HKLM\\Software\\Classes\\CLSID\\{<guid>}',
    ],
    ['\\Sessions\\1\\BaseNamedObjects\\app-4242-0x7ff6a0', '\\Sessions\\<n>\\BaseNamedObjects\\app-<n>-<hex>'],
    ['\\\\.\\pipe\\chrome.1234.5.a1b2c3d4e5', '\\\\.\\pipe\\chrome.<n>.<n>.<hex>'],
    ['HKCU\\S-1-5-21-1004336348-1177238915', 'HKCU\\S-<n>-<n>-<n>-<n>-<n>'],
    ['app.exe (4242)', 'app.exe (<n>)'],
    ['thread 17 of app.exe (4242)', 'thread <n> of app.exe (<n>)'],
    ['C:\\Windows\\System32\\kernel32.dll', 'C:\\Windows\\System<n>\\kernel<n>.dll'],
    ['facade', 'facade'],
    ['C:\\plain.txt', 'C:\\plain.txt'],
    ['', ''],
    ['a10x1fz', 'a<n><hex>z'],
    ['0x', '<n>x'],
    ['00X1G', '<n><hex>G'],
    ['DEADBEEF deadbeef1 abcde1 abcd1', 'DEADBEEF <hex> <hex> abcd<n>'],
  ])('%s', (name, pattern) => {
    expect(generaliseName(name)).toBe(pattern);
  });

  it('and is its own pattern, whatever the name', () => {
    const random = randomNumbers(11);
    for (let round = 0; round < 2000; round++) {
      const pattern = generaliseName(`${hostileText(random)}${random(10_000)}`);
      expect(generaliseName(pattern)).toBe(pattern);
      expect(pattern).not.toMatch(/[0-9]/);
    }
  });
});

/** The same, said in regular expressions. */
function generaliseSlowly(name: string): string {
  return name
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<guid>')
    .replace(/0x[0-9a-f]+|(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{6,}(?![0-9a-z])/gi, '<hex>')
    .replace(/[0-9]+/g, '<n>');
}

describe('the pattern of a name is what three regular expressions make of it', () => {
  it.each([1, 2, 3])('in ten thousand random names: %i', (seed) => {
    const random = randomNumbers(seed);
    const letters = '00123456789abcdefABCDEFxXgz--_ .\\é\u212a';
    for (let round = 0; round < 10_000; round++) {
      let name = '';
      for (let length = random(48); length > 0; length--) name += letters[random(letters.length)];
      if (round % 10 === 0) name += `${name}0002DF01-0000-0000-C000-000000000046${name}`;
      expect(generaliseName(name)).toBe(generaliseSlowly(name));
    }
  });
});

describe('the pattern of a socket leaves open the ports that the system chose', () => {
  it.each([
    [
      { protocol: 'TCP', state: 'connected', local: '10.0.0.5:51234', remote: '10.0.0.7:5432' },
      'TCP connected 10.0.0.5:<n> > 10.0.0.7:5432',
    ],
    [{ protocol: 'TCP', state: 'listening', local: '127.0.0.1:8080' }, 'TCP listening 127.0.0.1:8080'],
    [{ protocol: 'UDPv6', state: 'bound', local: '[::1]:40000' }, 'UDPv6 bound [::1]:<n>'],
    [{ protocol: 'TCP', state: 'unbound' }, 'TCP unbound'],
    [{}, ''],
  ] as const)('%j', (socket, pattern) => {
    expect(generaliseSocket(socket)).toBe(pattern);
  });
});
