import { describe, expect, it } from 'vitest';
import { attributeOpening } from '../../../../src/analyze/attribution.ts';
import { mainBottom, stack } from '../evidence.ts';
import type { Opening } from './openings.ts';

const openings: readonly Opening[] = [
  {
    title: '[ran] a key of RegOpenKeyExW is the program’s',
    type: 'Key',
    name: 'HKCU\\Software',
    frames: ['kernelbase!CompareObjectHandles+0xc65', 'kernelbase!RegOpenKeyExW+0xdd', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a key of RegOpenKeyA is the program’s',
    type: 'Key',
    name: 'HKLM\\Software',
    frames: ['kernelbase!RegOpenKeyExA+0x1ab', 'advapi32!RegOpenKeyA+0x33', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] the root key that RegOpenKeyExW remembers is the system’s',
    type: 'Key',
    name: 'HKLM\\Software\\Classes',
    frames: [
      'kernelbase!CompareObjectHandles+0x413',
      'kernelbase!CompareObjectHandles+0xe2c',
      'kernelbase!RegOpenKeyExW+0x1b2',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'the user’s root key that RegOpenKeyExW remembers is the system’s',
    type: 'Key',
    name: '\\REGISTRY\\USER\\S-1-5-21-0-0-0-1000',
    frames: ['kernelbase!RegOpenKeyExW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a root key asked for by RegOpenCurrentUser is the program’s',
    type: 'Key',
    name: 'HKCU',
    frames: ['kernelbase!RegOpenCurrentUser', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a socket of socket is the program’s',
    type: 'Socket',
    frames: ['ws2_32!WSASocketW+0x19f', 'ws2_32!socket+0x53', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a socket on Windows, through its provider, is the program’s',
    type: 'Socket',
    frames: ['mswsock!WSPSocket', 'ws2_32!WSASocketW', 'ws2_32!socket', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a key that the provider opened in the first socket call is the system’s',
    type: 'Key',
    frames: ['kernelbase!RegOpenKeyExW', 'mswsock!WSPStartup', 'ws2_32!socket', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'an unrecognised socket is a nameless File and the program’s',
    type: 'File',
    frames: ['mswsock!WSPSocket', 'ws2_32!socket', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a device that socket opened for itself is the system’s',
    type: 'File',
    name: '\\Device\\Nsi',
    frames: ['mswsock!WSPSocket', 'ws2_32!socket', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'an accepted socket is the program’s',
    type: 'Socket',
    frames: ['ws2_32!accept', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] the event that bind keeps for its thread is the system’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW+0x35', 'ws2_32!WSCEnumProtocols+0x123c', 'ws2_32!bind+0x6b', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] an event of WSACreateEvent is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'ws2_32!WSACreateEvent', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'what WSAStartup opens is the system’s',
    type: 'File',
    name: '\\Device\\Nsi',
    frames: ['kernelbase!CreateFileW', 'ws2_32!WSAStartup', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'what getaddrinfo opens is the system’s',
    type: 'Socket',
    frames: ['mswsock!WSPSocket', 'ws2_32!WSASocketW', 'ws2_32!getaddrinfo', ...mainBottom],
    actor: 'system',
  },
];

describe('whose an opened key or socket is', () => {
  it.each(openings)('$title', ({ type, name, frames, actor }) => {
    expect(attributeOpening(stack(...frames), { type, ...(name === undefined ? {} : { name }) })).toBe(actor);
  });
});
