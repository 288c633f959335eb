import { functionModules, numberedFunctions } from '../../../src/agent/tables/function-table.ts';
import { numberedRows } from '../../../src/agent/tables/hook-table.ts';
import { ledgerLayout } from '../../../src/agent/ledger/layout.ts';
import type { AgentCode } from '../../../src/agent/linkage/agent-code.ts';
import { setGateName } from '../../../src/agent/linkage/gate-name.ts';
import { linkSlots } from '../../../src/agent/linkage/link-slots.ts';
import {
  PATCHED_FUNCTION_SIZE_BYTES,
  PATCHED_MODULE_SIZE_BYTES,
  patchedFunction,
} from '../../../src/agent/linkage/patch-table.ts';
import { assembleAgent } from '../../../src/agent/emit/assembly.ts';
import { type HookedModule, linkAgent, type LinkInputs, RELAY_SIZE_BYTES } from '../../../src/agent/link/link-agent.ts';
import { jumpTarget } from '../../../src/agent/patch/stub.ts';
import { loadCode } from '../../../src/agent/link/load-code.ts';
import { describe, expect, test } from 'vitest';

const IMAGE_BASE = 0x1_4000_0000n;
const NTDLL = 0x1_7000_0000n;
const LEDGER = 0x7f12_3456_0000n;
/** `mov r10, rcx; mov eax, 55h`. */
const head = Uint8Array.of(0x4c, 0x8b, 0xd1, 0xb8, 0x55, 0, 0, 0);
/** `mov [rsp+8], rbx; push rdi`, and more. */
const prologue = Uint8Array.of(0x48, 0x89, 0x5c, 0x24, 0x08, 0x57, 0x48, 0x83, 0xec, 0x20);

function hookedModule(name: (typeof functionModules)[number]): HookedModule {
  const number = functionModules.indexOf(name);
  const base = NTDLL + BigInt(number + 1) * 0x100_0000n;
  const functions = numberedFunctions
    .filter(({ row }) => row.module === name)
    .map((numbered, index) => {
      const address = base + 0x1000n + BigInt(index * 0x40);
      return {
        ...numbered,
        address,
        code: prologue,
        moved: { sizeBytes: 5, continuesAt: address + 5n, distances: [] },
      };
    });
  return {
    base,
    sizeBytes: 0x10_0000,
    number,
    fileno: base + 1n,
    getOsfhandle: base + 2n,
    identity: [number + 1, number + 2, number + 3],
    functions,
  };
}

function target(change: Partial<LinkInputs> = {}): LinkInputs {
  return {
    calls: numberedRows.map((numbered, index) => ({ ...numbered, stubAddress: NTDLL + BigInt(index * 0x20), head })),
    modules: functionModules.map(hookedModule),
    closeHandle: { begin: NTDLL + 0x8000n, sizeBytes: 0x123 },
    ledger: LEDGER,
    layout: ledgerLayout(1 << 20),
    ntdllAddress: (name) => NTDLL + 0x1_0000n + BigInt(name.length),
    arrivedName: '\\BaseNamedObjects\\arrived',
    judgedName: '\\BaseNamedObjects\\judged',
    threadsSeenName: '\\BaseNamedObjects\\threads-seen',
    ...change,
  };
}

const relaysOf = ({ modules }: LinkInputs): readonly bigint[] =>
  functionModules.map((_, number) => (modules[number]?.base ?? 0x10_0000n) - 0x10_0000n);
const link = (code: AgentCode, linked: LinkInputs) =>
  linkAgent(code, linked, { base: IMAGE_BASE, relays: relaysOf(linked) });
const word = (bytes: Uint8Array, offset: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true);

describe.each([
  { quarantine: false, checked: false },
  { quarantine: true, checked: false },
  { quarantine: false, checked: true },
  { quarantine: true, checked: false, stops: true },
])('the code of %o', (variant) => {
  const code = assembleAgent(variant);

  test('is the same whenever it is assembled', async () => {
    expect(assembleAgent(variant)).toEqual(code);
    expect(await loadCode(variant)).toEqual(code);
  });

  test('has a hook of its own for each row', () => {
    const hooks = [...code.callHooks, ...code.functionHooks];
    expect(hooks).toHaveLength(numberedRows.length + numberedFunctions.length);
    expect(new Set(hooks).size).toBe(hooks.length);
  });

  test('is not changed by being linked, and nothing in it but what is reserved', () => {
    const before = new Uint8Array(code.bytes);
    const { bytes } = link(code, target());
    expect(code.bytes).toEqual(before);
    // All that is reserved is zero until then.
    const changed = [...bytes.keys()].filter((index) => bytes[index] !== before[index]);
    expect(changed.filter((index) => before[index] !== 0)).toEqual([]);
    expect(changed.length).toBeGreaterThan(1000);
  });
});

test('code that lies anywhere in memory is linked alike, and not changed', () => {
  const code = assembleAgent({ quarantine: false, checked: false });
  const pool = Buffer.alloc(code.bytes.length + 3);
  pool.set(code.bytes, 3);
  const linked = link({ ...code, bytes: pool.subarray(3) }, target());
  expect(linked).toEqual(link(code, target()));
  expect(Buffer.compare(pool.subarray(3), code.bytes)).toBe(0);
});

describe('a linked agent', () => {
  const code = assembleAgent({ quarantine: true, checked: false });
  const wordOf = (bytes: Uint8Array, name: (typeof linkSlots)[number]): bigint =>
    word(bytes, code.linkSlotsOffset + linkSlots.indexOf(name) * 8);
  const ntdllImportOf = (bytes: Uint8Array, name: string): bigint =>
    word(bytes, code.ntdllImportsOffset + code.ntdllImports.indexOf(name) * 8);

  test('knows where the ledger lies, and how large it is', () => {
    const layout = ledgerLayout(1 << 12, 256);
    const { bytes } = link(code, target({ layout }));
    expect(wordOf(bytes, 'ledger')).toBe(LEDGER);
    expect(wordOf(bytes, 'slots')).toBe(LEDGER + BigInt(layout.slotsOffset));
    expect(wordOf(bytes, 'recentOpens')).toBe(LEDGER + BigInt(layout.recentOpensOffset));
    expect(wordOf(bytes, 'slotCount')).toBe(1n << 12n);
    expect(wordOf(bytes, 'quarantineMask')).toBe(255n);
  });

  test('calls what is hooked past its hook, and all else where it lies', () => {
    const [close] = numberedRows;
    expect(close?.row.name).toBe('NtClose');
    const { bytes } = link(code, target());
    expect(ntdllImportOf(bytes, 'NtClose')).toBe(IMAGE_BASE + BigInt(code.callTrampolinesOffset));
    const trampoline = bytes.subarray(code.callTrampolinesOffset, code.callTrampolinesOffset + head.length + 5);
    expect(trampoline.subarray(0, head.length)).toEqual(head);
    expect(jumpTarget(trampoline.subarray(head.length), ntdllImportOf(bytes, 'NtClose') + 8n)).toBe(NTDLL + 8n);
    const unhooked = link(code, target({ calls: [] }));
    expect(ntdllImportOf(unhooked.bytes, 'NtClose')).toBe(NTDLL + 0x1_0007n);
    expect(unhooked.patches).toEqual([]);
  });

  test('knows of no CloseHandle, and of no function of DLLs, where there are none', () => {
    const { bytes, relays } = link(code, target({ closeHandle: undefined, modules: [] }));
    expect([wordOf(bytes, 'closeHandle'), wordOf(bytes, 'closeHandleSizeBytes')]).toEqual([0n, 0n]);
    for (const offset of code.patchedModules)
      expect(bytes.subarray(offset, offset + PATCHED_MODULE_SIZE_BYTES)).toEqual(
        new Uint8Array(PATCHED_MODULE_SIZE_BYTES),
      );
    expect(relays).toEqual([]);
  });

  test('leads each function by its relay to its hook, and from there to what was moved', () => {
    const linked = target();
    const { bytes, relays } = link(code, linked);
    linked.modules.forEach((module, index) => {
      const relay = relaysOf(linked)[index]!;
      module.functions.forEach(({ rowNumber, address }, place) => {
        const entry = code.patchedFunctions[module.number]! + place * PATCHED_FUNCTION_SIZE_BYTES;
        expect(word(bytes, entry + patchedFunction.address)).toBe(address);
        const jump = bytes.subarray(entry + patchedFunction.replacement, entry + patchedFunction.touched);
        const distance = new DataView(jump.buffer, jump.byteOffset).getInt32(1, true);
        expect(address + 5n + BigInt(distance)).toBe(relay + BigInt(place * RELAY_SIZE_BYTES));
        expect([...jump.subarray(5)]).toEqual([...prologue.subarray(5, 8)]);

        const row = rowNumber - numberedRows.length - 1;
        expect(word(relays[index]!.bytes, place * RELAY_SIZE_BYTES + 6)).toBe(
          IMAGE_BASE + BigInt(code.functionHooks[row]!),
        );
        const trampoline = Number(word(bytes, code.functionTrampolineSlotsOffset + row * 8) - relay);
        const moved = relays[index]!.bytes.subarray(trampoline, trampoline + 5);
        expect(moved).toEqual(prologue.subarray(0, 5));
        expect(word(relays[index]!.bytes, trampoline + 5 + 6)).toBe(address + 5n);
      });
    });
  });

  test('is refused where a hook would be out of reach', () => {
    const [call] = target().calls;
    expect(() => link(code, target({ calls: [{ ...call!, stubAddress: IMAGE_BASE + (1n << 40n) }] }))).toThrow(
      'out of reach',
    );
  });
});

test('a name of the exit gate must fit in the room for it', () => {
  const image = new Uint8Array(0x800);
  setGateName(image, 0x10, 'gate', 0x1234);
  expect([...image.subarray(0x10, 0x20)]).toEqual([8, 0, 8, 0, 0x34, 0x12, 0, 0, 0x67, 0, 0x61, 0, 0x74, 0, 0x65, 0]);
  expect(() => setGateName(image, 0, 'x'.repeat(600), 0)).toThrow('600 characters');
});
