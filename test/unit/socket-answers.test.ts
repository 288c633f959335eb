import { expect, it } from 'vitest';

import { decodeWindowsSocket, decodeWineSocket, formatEndpoint } from '../../src/handles/sockets/sockets.ts';

function ipv4(address: string, port: number): Buffer {
  const [high, low] = [port >> 8, port & 0xff];
  return Buffer.from([2, 0, high, low, ...address.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);
}

function ipv6(groups: readonly number[], port: number, scope = 0): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(23, 0);
  bytes.writeUInt16BE(port, 2);
  groups.forEach((group, i) => bytes.writeUInt16BE(group, 8 + i * 2));
  bytes.writeUInt32LE(scope, 24);
  return bytes;
}

function context(state: number, family: number, type: number, protocol: number, flags: number): Buffer {
  const bytes = Buffer.alloc(200);
  [state, family, type, protocol].forEach((value, i) => bytes.writeInt32LE(value, i * 4));
  bytes.writeUInt8(flags, 44);
  return bytes;
}

it.each([
  [ipv4('127.0.0.1', 8080), '127.0.0.1:8080'],
  [ipv4('0.0.0.0', 0), '0.0.0.0:0'],
  [ipv6([0, 0, 0, 0, 0, 0, 0, 1], 80), '[::1]:80'],
  [ipv6([0, 0, 0, 0, 0, 0, 0, 0], 80), '[::]:80'],
  [ipv6([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], 443), '[2001:db8::1:0:0:1]:443'],
  [ipv6([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], 443), '[2001:db8:0:1:1:1:1:1]:443'],
  [ipv6([0xfe80, 0, 0, 0, 0, 0, 0, 0x12], 1, 3), '[fe80::12%3]:1'],
  [ipv6([1, 0, 0, 0, 0, 0, 0, 0], 1), '[1::]:1'],
  [ipv6([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 5), '[::ffff:127.0.0.1]:5'],
  [Buffer.from('\x01\0/tmp/a\0rest', 'latin1'), '/tmp/a'],
  [Buffer.from([1, 0, 0]), undefined],
  [Buffer.from([2, 0, 1]), undefined],
  [Buffer.from([99, 0, 1, 2, 3, 4, 5, 6, 7, 8]), undefined],
  [undefined, undefined],
])('an address is shown as one types it: %#', (address, shown) => {
  expect(formatEndpoint(address)).toBe(shown);
});

const tcp = Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0]);
const [here, there] = [ipv4('10.0.0.1', 5000), ipv4('10.0.0.2', 80)];
it.each([
  [[tcp, undefined, undefined, Buffer.from([0, 0, 0, 0])], { protocol: 'TCP', state: 'unbound' }],
  [[tcp, here, undefined, undefined], { protocol: 'TCP', state: 'bound', local: '10.0.0.1:5000' }],
  [[tcp, here, undefined, Buffer.from([1, 0, 0, 0])], { protocol: 'TCP', state: 'listening', local: '10.0.0.1:5000' }],
  [
    [tcp, here, there, undefined],
    { protocol: 'TCP', state: 'connected', local: '10.0.0.1:5000', remote: '10.0.0.2:80' },
  ],
  [[undefined, here, there, undefined], undefined],
  [[tcp.subarray(0, 8), here, there, undefined], undefined],
])("Wine's answers are understood: %#", (answers, expected) => {
  expect(decodeWineSocket(answers)).toEqual(expected);
});

it.each([
  [[context(0, 2, 1, 6, 0), undefined, undefined], { protocol: 'TCP', state: 'unbound' }],
  [[context(1, 2, 1, 6, 1), here, there], { protocol: 'TCP', state: 'listening', local: '10.0.0.1:5000' }],
  [
    [context(3, 2, 1, 6, 0), here, there],
    { protocol: 'TCP', state: 'connected', local: '10.0.0.1:5000', remote: '10.0.0.2:80' },
  ],
  [[context(4, 23, 1, 6, 0), undefined, undefined], { protocol: 'TCPv6', state: 'closed' }],
  [[context(2, 23, 2, 17, 0), here, there], { protocol: 'UDPv6', state: 'bound', local: '10.0.0.1:5000' }],
  [[context(-1, 1, 1, 0, 0), undefined, undefined], { protocol: 'unix', state: 'unbound' }],
  [[context(1, 2, 3, 1, 0), here, undefined], { protocol: 'raw', state: 'bound', local: '10.0.0.1:5000' }],
  [[context(1, 32, 1, 3, 0), undefined, undefined], { state: 'bound' }],
  [[context(1, 2, 1, 6, 0).subarray(0, 40), here, undefined], undefined],
])("Windows' answers are understood: %#", (answers, expected) => {
  expect(decodeWindowsSocket(answers)).toEqual(expected);
});
