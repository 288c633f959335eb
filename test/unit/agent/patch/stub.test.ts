import { describe, expect, test } from 'vitest';

import {
  hookedHead,
  hookedHeadTarget,
  jumpHead,
  recogniseStub,
  STUB_HEAD_SIZE_BYTES,
  STUB_TRAMPOLINE_SIZE_BYTES,
  stubTrampoline,
} from '../../../../src/agent/patch/stub.ts';
import { callNumbers, hookedStubs, stubForms } from './windows-stubs.ts';

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(' '), (byte) => parseInt(byte, 16));
}

const windows = '4c 8b d1 b8 0f 00 00 00 f6 04 25 08 03 fe 7f 01 75 03 0f 05 c3 cd 2e c3';

describe('a system-call stub', () => {
  test.each(stubForms.filter(({ isHookable }) => isHookable))('of $system is recognised by its head', ({ code }) => {
    expect(recogniseStub(bytes(code))).toEqual(bytes(code).subarray(0, 8));
  });

  test.each(stubForms.filter(({ isHookable }) => !isHookable))('of $system is refused', ({ code }) => {
    expect(recogniseStub(bytes(code))).toBeUndefined();
  });

  test.each(callNumbers)('of %s is recognised whatever its number', (_version, ...numbers) => {
    for (const number of numbers) {
      const head = bytes(`4c 8b d1 b8 ${number.toString(16)} 00 00 00`);
      expect(recogniseStub(head)).toEqual(head);
    }
  });

  test.each(hookedStubs)('that $software has hooked is refused', ({ code }) => {
    expect(recogniseStub(bytes(code))).toBeUndefined();
  });

  test.each<[string, string]>([
    ['that is hooked by a jump at its head', windows.replace('4c 8b d1 b8 0f', 'e9 11 22 33 44')],
    ['that is hooked behind its first instruction', windows.replace('b8 0f 00 00 00', 'e9 11 22 33 44')],
    ['that is hooked by an indirect jump', windows.replace('4c 8b d1 b8 0f 00', 'ff 25 00 00 00 00')],
    ['that is hooked by a push and a return', windows.replace('4c 8b d1 b8 0f 00', '68 11 22 33 44 c3')],
    ['with a breakpoint on it', windows.replace('4c', 'cc')],
    ['with a number that is no system call’s', windows.replace('0f 00 00 00', '0f 00 01 00')],
    ['with a number beyond the tables of ntdll and win32u', windows.replace('0f 00 00 00', '00 40 00 00')],
  ])('%s is refused', (_what, stub) => {
    expect(recogniseStub(bytes(stub))).toBeUndefined();
  });

  test.each(Array.from({ length: 8 }, (_, index) => index))(
    'is refused when no more than %i bytes of it can be read',
    (size) => {
      expect(recogniseStub(bytes(windows).subarray(0, size))).toBeUndefined();
    },
  );

  test('is refused when any byte of its head but the call number is another one', () => {
    const head = bytes(windows).subarray(0, 8);
    head.forEach((byte, index) => {
      const changed = head.slice();
      changed[index] = byte ^ 0x40;
      expect(recogniseStub(changed) === undefined, `byte ${index}`).toBe(index !== 4);
    });
  });

  test('whatever comes behind its head is recognised: nothing of that is copied', () => {
    for (const tail of ['0f 05 c3', '49 bb 00 00 00 00 01 00 00 00 41 ff e3', 'e9 11 22 33 44', 'cc'])
      expect(recogniseStub(bytes(`4c 8b d1 b8 0f 00 00 00 ${tail}`))).toBeDefined();
  });
});

describe('the trampoline of a stub', () => {
  const head = bytes(windows).subarray(0, STUB_HEAD_SIZE_BYTES);

  test('makes up for the head and jumps behind it', () => {
    // mov r10, rcx; mov eax, 0fh; jmp stub+8
    expect(stubTrampoline(head, 0x1_7000_1230n, 0x1_3000_0000n)).toEqual(
      bytes('4c 8b d1 b8 0f 00 00 00 e9 2b 12 00 40'),
    );
    expect(stubTrampoline(head, 0x1_7000_1230n, 0x1_3000_0000n)).toHaveLength(STUB_TRAMPOLINE_SIZE_BYTES);
  });

  test('makes no system call itself', () => {
    const code = Buffer.from(stubTrampoline(head, 0x1_7000_1230n, 0x1_3000_0000n));
    expect([code.indexOf('0f05', 'hex'), code.indexOf('cd2e', 'hex')]).toEqual([-1, -1]);
  });

  test('must lie in reach of the stub', () => {
    expect(() => stubTrampoline(head, 0x7fff_0000_0000n, 0x1_3000_0000n)).toThrow('out of reach');
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

  test('says where it leads, and a head that is not hooked does not', () => {
    expect(hookedHeadTarget(hookedHead(stubAddress, 0x1_3000_0000n), stubAddress)).toBe(0x1_3000_0000n);
    expect(hookedHeadTarget(bytes(windows), stubAddress)).toBeUndefined();
  });

  test('of a function is the jump alone', () => {
    expect(jumpHead(0x1000n, 0x1005n)).toEqual(bytes('e9 00 00 00 00'));
    expect(() => jumpHead(0n, 0x8000_0005n)).toThrow('out of reach');
  });
});
