import { beforeEach, describe, expect, test } from 'vitest';

import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import { rax, rcx } from '../../../../src/agent/asm/registers.ts';
import { emitFileOrSocketType } from '../../../../src/agent/emit/hooks/file-or-socket-type.ts';
import { emitSlotAddress } from '../../../../src/agent/emit/recorder/slot-address.ts';
import { emitFindUnknownHandle } from '../../../../src/agent/emit/recorder/unknown-handle.ts';
import { slot } from '../../../../src/agent/ledger/layout.ts';
import { placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 1024;

const routines = placeRoutines({
  slotCount: SLOT_COUNT,
  emit(asm, { environment }) {
    emitFindUnknownHandle(asm, environment.findUnknownHandle, environment);
    emitFileOrSocketType(asm, environment.fileOrSocketType);
    const [slotAddress, none] = asm.labels('slotAddress', 'none');
    asm.bind(slotAddress);
    emitSlotAddress(asm, rcx, none, environment);
    asm.mov(rax, rcx);
    asm.ret();
    asm.bind(none);
    asm.xor(rax, rax);
    asm.ret();
    return {
      findUnknownHandle: environment.findUnknownHandle,
      fileOrSocketType: environment.fileOrSocketType,
      slotAddress,
    };
  },
});
const { memory, data, dataAddress } = routines;
beforeEach(() => {
  routines.reset();
});

describe('the slot of a value', () => {
  test.each([0n, 4n, 0x1a4n, 0x1a5n, 0x1a7n, BigInt(SLOT_COUNT * 4 - 1)])(
    'is where the reader looks for it: %s',
    (value) => {
      const { rax: address } = routines.call('slotAddress', { rcx: value });
      expect(address - routines.ledgerAddress).toBe(BigInt(routines.slotOffset(value)));
    },
  );

  test.each([BigInt(SLOT_COUNT * 4), 0xffff_fffcn, 0x7fff_ffff_ffff_fffcn, -1n, -6n, -0x8000_0000_0000_0000n])(
    'is not there: %s',
    (value) => {
      expect(routines.call('slotAddress', { rcx: value }).rax).toBe(0n);
    },
  );
});

describe('findUnknownHandle', () => {
  const [OPEN, OTHER, CLOSED, UNSEEN, BEYOND] = [0x40n, 0x44n, 0x48n, 0x4cn, 0x10_0000n];

  test.each<[what: string, handles: readonly bigint[], found: bigint]>([
    ['the first that is closed', [OPEN, CLOSED, UNSEEN], CLOSED],
    ['the first that was never seen', [OPEN, OTHER, UNSEEN, CLOSED], UNSEEN],
    ['the first that has no slot', [OPEN, BEYOND, CLOSED], BEYOND],
    ['a pseudo handle', [OPEN, -1n], -1n],
    ['with its tag bits', [OPEN | 1n, CLOSED | 2n], CLOSED | 2n],
    ['none that the caller left out', [OPEN, 0n, CLOSED], CLOSED],
    ['the first of all when all are open', [OTHER, OPEN], OTHER],
    ['the first of all when there is none', [], CLOSED],
  ])('finds %s', (_what, handles, found) => {
    for (const value of [OPEN, OTHER]) memory.setBigUint64(routines.slotOffset(value) + slot.state, 9n, true);
    memory.setBigUint64(routines.slotOffset(CLOSED) + slot.state, 8n, true);
    // One that is closed lies behind them: the routine must not look there.
    [...handles, CLOSED].forEach((handle, index) => data.setBigInt64(index * 8, handle, true));
    const { rax: handle } = routines.call('findUnknownHandle', { rcx: dataAddress, rdx: BigInt(handles.length) });
    expect(BigInt.asIntN(64, handle)).toBe(found);
  });
});

describe('fileOrSocketType', () => {
  const [NAME, TEXT] = [0x100, 0x200];

  /** Writes OBJECT_ATTRIBUTES with a name, of which only `length` characters count. */
  function typeOf(path: string, length = path.length): number {
    data.setBigUint64(0x10, dataAddress + BigInt(NAME), true); // PUNICODE_STRING ObjectName
    data.setUint16(NAME, length * 2, true); // USHORT Length
    data.setBigUint64(NAME + 8, dataAddress + BigInt(TEXT), true); // PWSTR Buffer
    new Uint8Array(data.buffer, TEXT).set(Buffer.from(path, 'utf16le'));
    return Number(routines.call('fileOrSocketType', { rcx: dataAddress }).rax);
  }

  test.each([
    ['\\Device\\Afd', 'Socket'],
    ['\\Device\\Afd\\Endpoint', 'Socket'],
    ['\\Device\\Afx', 'File'],
    ['\\Device\\afd', 'File'],
    ['\\Devicx\\Afd', 'File'],
    ['\\Xevice\\Afd', 'File'],
    ['\\??\\C:\\Device\\Afd', 'File'],
    ['', 'File'],
  ] as const)('%s is a %s', (path, type) => {
    expect(typeOf(path)).toBe(typeIndex(type));
  });

  test('a path that ends before its last letter is a File, whatever lies behind it', () => {
    expect(typeOf('\\Device\\Afd', 10)).toBe(typeIndex('File'));
  });

  test.each([
    ['no structure', 0n],
    ['a structure without a name', dataAddress],
  ])('%s is a File', (_what, attributes) => {
    expect(routines.call('fileOrSocketType', { rcx: attributes }).rax).toBe(BigInt(typeIndex('File')));
  });
});
