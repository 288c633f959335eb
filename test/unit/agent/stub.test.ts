import { describe, expect, test } from 'vitest';

import {
  hookedHead,
  jumpHead,
  recogniseStub,
  STUB_HEAD_SIZE_BYTES,
  STUB_READ_SIZE_BYTES,
} from '../../../src/agent/patch/stub.ts';

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(' '), (byte) => parseInt(byte, 16));
}

const call = '4c 8b d1 b8 0f 00 00 00 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3';
const windows = `${call} cd 2e c3`;
const wine = `${call} eb 01 c3 ff 14 25 00 10 fe 7f c3`;

/** As it is read from ntdll: the stub, and whatever follows it. */
function asRead(stub: string, following = 0x0f): Uint8Array {
  const read = new Uint8Array(STUB_READ_SIZE_BYTES).fill(following);
  read.set(bytes(stub));
  return read;
}

describe('a system-call stub', () => {
  test.each([
    { system: 'Windows', stub: windows },
    { system: 'Wine', stub: wine },
    { system: 'Windows, with the highest number', stub: windows.replace('0f 00 00 00', 'ff ff ff ff') },
  ])('of $system is recognised, and copied whole', ({ stub }) => {
    expect(recogniseStub(asRead(stub))).toEqual(bytes(stub));
  });

  test.each<[string, string]>([
    ['that is hooked by a jump at its head', windows.replace('4c 8b d1 b8 0f', 'e9 11 22 33 44')],
    ['that is hooked behind its first instruction', windows.replace('b8 0f 00 00 00', 'e9 11 22 33 44')],
    ['that is hooked by an indirect jump', windows.replace('4c 8b d1 b8 0f 00', 'ff 25 00 00 00 00')],
    ['with a breakpoint on it', windows.replace('4c', 'cc')],
    ['of Windows 7, which makes the call at once', '4c 8b d1 b8 0f 00 00 00 0f 05 c3'],
    ['that tests another byte', windows.replace('08 03 fe 7f', '09 03 fe 7f')],
    ['that jumps elsewhere', windows.replace('75 03', '75 04')],
    ['with an unknown end', windows.replace('cd 2e', 'cd 2f')],
    ['of Wine, calling through another address', wine.replace('00 10 fe 7f', '00 20 fe 7f')],
    ['of Wine 7, which calls through rax', '4c 8b d1 b8 0f 00 00 00 48 b8 00 10 fe 7f 00 00 00 00 ff d0 c3'],
  ])('%s is refused', (_what, stub) => {
    expect(recogniseStub(asRead(stub))).toBeUndefined();
  });

  test.each(Array.from({ length: 24 }, (_, index) => index))(
    'is refused when no more than %i bytes of it can be read',
    (size) => {
      expect(recogniseStub(bytes(windows).subarray(0, size))).toBeUndefined();
    },
  );

  test('is refused when any of its bytes but the call number is another one', () => {
    for (const stub of [windows, wine]) {
      const original = bytes(stub);
      original.forEach((byte, index) => {
        const changed = asRead(stub);
        changed[index] = byte ^ 0x40;
        const isCallNumber = index >= 4 && index < 8;
        expect(recogniseStub(changed) === undefined, `byte ${index} of ${stub}`).toBe(!isCallNumber);
      });
    }
  });
});

describe('the head of a hooked stub', () => {
  const stubAddress = 0x1_7000_1230n;

  test.each([
    { hook: stubAddress + 8n, jump: 'e9 00 00 00 00' },
    { hook: stubAddress, jump: 'e9 f8 ff ff ff' },
    { hook: stubAddress + 8n + 0x7fff_ffffn, jump: 'e9 ff ff ff 7f' },
    { hook: stubAddress + 8n - 0x8000_0000n, jump: 'e9 00 00 00 80' },
  ])('moves r10 as before and jumps to $hook', ({ hook, jump }) => {
    const head = hookedHead(stubAddress, hook);
    expect(head).toEqual(bytes(`4c 8b d1 ${jump}`));
    expect(head).toHaveLength(STUB_HEAD_SIZE_BYTES);
  });

  test('leaves the first instruction as it was, so that a thread may stand behind it', () => {
    expect(hookedHead(stubAddress, stubAddress + 0x1000n).subarray(0, 3)).toEqual(bytes(windows).subarray(0, 3));
  });

  test.each([stubAddress + 8n + 0x8000_0000n, stubAddress + 8n - 0x8000_0001n, 0n, 0x7fff_ffff_0000n])(
    'does not reach %s',
    (hook) => {
      expect(() => hookedHead(stubAddress, hook)).toThrow('out of reach');
    },
  );

  test('of a function is the jump alone', () => {
    expect(jumpHead(0x1000n, 0x1005n)).toEqual(bytes('e9 00 00 00 00'));
    expect(() => jumpHead(0n, 0x8000_0005n)).toThrow('out of reach');
  });
});
