import { beforeEach, describe, expect, test } from 'vitest';

import { emitOpenLent } from '../../../../src/agent/emit/hooks/named-objects.ts';
import { slot } from '../../../../src/agent/ledger/layout.ts';
import { type LentObject, lentHandleOffset } from '../../../../src/agent/ledger/lent-handles.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { setGateName } from '../../../../src/agent/linkage/gate-name.ts';
import { placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 1024;
const VALUE = 0x44n;
const COPY = 0x80n;
const REFUSAL = 0xc000_0022n; // STATUS_ACCESS_DENIED
const STATUS_INVALID_HANDLE = 0xc000_0008;
const DUPLICATE_SAME_ACCESS = 2n;
const OPENED = 0x400;

const routines = placeRoutines({
  slotCount: SLOT_COUNT,
  ntdll: ['NtDuplicateObject'],
  emit(asm, { environment }) {
    emitOpenLent(asm, environment.openLent, environment);
    return { openLent: environment.openLent };
  },
});

let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
});

/** Opens an object whose name was refused; returns the status, and the handle that was stored. */
function open(object: LentObject): readonly [status: bigint, opened: bigint] {
  const { data, dataAddress } = routines;
  setGateName(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 0, '', lentHandleOffset(object));
  const before = { rcx: dataAddress, rdx: dataAddress + BigInt(OPENED), r8: REFUSAL };
  const { rax } = routines.call('openLent', before);
  return [rax & 0xffff_ffffn, data.getBigUint64(OPENED, true)];
}

describe('an object whose name is refused', () => {
  test.each<LentObject>(['arrived', 'judged', 'threadsSeen', 'child'])(
    'opens by the handle that was lent of it: %s',
    (object) => {
      ledger.lent.note(object, VALUE);
      routines.script({ status: 0, stores: COPY });
      expect(open(object)).toEqual([0n, COPY]);
      const [call, ...others] = routines.faked();
      expect(call).toMatchObject({ name: 'NtDuplicateObject', seventh: DUPLICATE_SAME_ACCESS });
      expect(call?.args.slice(0, 3)).toEqual([-1n, VALUE, -1n]);
      expect(others).toEqual([]);
    },
  );

  test('does not open by the handle of another one', () => {
    ledger.lent.note('judged', VALUE);
    expect(open('threadsSeen')).toEqual([REFUSAL, 0n]);
    expect(routines.faked()).toEqual([]);
  });

  test.each<[what: string, value: bigint, state: bigint]>([
    ['closed', VALUE, 2n],
    ['closed, and got its value for an object of its own', VALUE, 3n],
  ])('does not open by a handle that the program has %s', (_what, value, state) => {
    ledger.lent.note('judged', value);
    routines.memory.setBigUint64(routines.slotOffset(value) + slot.state, state, true);
    expect(open('judged')).toEqual([REFUSAL, 0n]);
    expect(routines.faked()).toEqual([]);
  });

  test.each([BigInt(SLOT_COUNT * 4), -4n])('does not open by a handle without a slot: %s', (value) => {
    ledger.lent.note('judged', value);
    expect(open('judged')).toEqual([REFUSAL, 0n]);
    expect(routines.faked()).toEqual([]);
  });

  test('stays refused when the kernel does not have the handle any more', () => {
    ledger.lent.note('judged', VALUE);
    routines.script({ status: STATUS_INVALID_HANDLE });
    expect(open('judged')[0]).toBe(BigInt(STATUS_INVALID_HANDLE));
  });
});
