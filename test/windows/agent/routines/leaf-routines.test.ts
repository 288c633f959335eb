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
  const [NAME, TEXT, EXTENDED] = [0x100, 0x200, 0x300];

  /** Writes OBJECT_ATTRIBUTES with a name, of which only `length` characters count. */
  function writePath(path: string, length = path.length): void {
    data.setBigUint64(0x10, dataAddress + BigInt(NAME), true); // PUNICODE_STRING ObjectName
    data.setUint16(NAME, length * 2, true); // USHORT Length
    data.setBigUint64(NAME + 8, dataAddress + BigInt(TEXT), true); // PWSTR Buffer
    new Uint8Array(data.buffer, TEXT).set(Buffer.from(path, 'utf16le'));
  }

  /** Writes FILE_FULL_EA_INFORMATION, and returns its length in bytes. */
  function writeExtendedAttribute(name: string, nameLength = name.length): bigint {
    data.setUint8(EXTENDED + 5, nameLength); // UCHAR EaNameLength
    data.setUint16(EXTENDED + 6, 30, true); // USHORT EaValueLength
    new Uint8Array(data.buffer, EXTENDED + 8).set(Buffer.from(`${name}\0`, 'latin1'));
    return BigInt(8 + name.length + 1 + 30);
  }

  function typeOf(arguments_: { readonly rcx: bigint; readonly rdx: bigint; readonly r8: bigint }): number {
    return Number(routines.call('fileOrSocketType', arguments_).rax);
  }

  test.each([
    ['\\Device\\Afd', 'Socket'],
    ['\\Device\\Afd\\', 'File'],
    ['\\Device\\Afd\\Endpoint', 'File'],
    ['\\Device\\Afd\\Mio', 'File'],
    ['\\Device\\AfdX', 'File'],
    ['\\Device\\Afx', 'File'],
    ['\\Device\\afd', 'File'],
    ['\\Devicx\\Afd', 'File'],
    ['\\Xevice\\Afd', 'File'],
    ['\\??\\C:\\Device\\Afd', 'File'],
    ['', 'File'],
  ] as const)('without extended attributes %s is a %s', (path, type) => {
    writePath(path);
    expect(typeOf({ rcx: dataAddress, rdx: 0n, r8: 0n })).toBe(typeIndex(type));
  });

  test('a path that ends before its last letter is a File, whatever lies behind it', () => {
    writePath('\\Device\\Afd', 10);
    expect(typeOf({ rcx: dataAddress, rdx: 0n, r8: 0n })).toBe(typeIndex('File'));
  });

  test.each([
    ['no structure', 0n],
    ['a structure without a name', dataAddress],
  ])('%s is a File', (_what, attributes) => {
    expect(typeOf({ rcx: attributes, rdx: 0n, r8: 0n })).toBe(typeIndex('File'));
  });

  test.each<[name: string, type: 'Socket' | 'File', nameLength?: number]>([
    ['AfdOpenPacketXX', 'Socket'],
    ['AfdOpenPacketXX', 'File', 14],
    ['AfdOpenPacketXXX', 'File'],
    ['AfdOpenPacketXY', 'File'],
    ['BfdOpenPacketXX', 'File'],
    ['AfdSwOpenPacket', 'File'],
    ['$KERNEL.PURGE.X', 'File'],
    ['', 'File'],
  ])('an extended attribute %s makes a %s', (name, type, nameLength) => {
    const length = writeExtendedAttribute(name, nameLength);
    expect(typeOf({ rcx: 0n, rdx: dataAddress + BigInt(EXTENDED), r8: length })).toBe(typeIndex(type));
  });

  test.each([
    ['has no bytes', 0n],
    ['ends in its name', 22n],
  ])('an extended attribute that %s is not read', (_what, length) => {
    writeExtendedAttribute('AfdOpenPacketXX');
    expect(typeOf({ rcx: 0n, rdx: dataAddress + BigInt(EXTENDED), r8: length })).toBe(typeIndex('File'));
  });
});
