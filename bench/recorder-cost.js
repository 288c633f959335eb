// Measures the recorder alone: hooks of NtCreateEvent and NtClose in this process, over stubs that make no system call.
import koffi from 'koffi';

import { linkAgent } from '../dist/agent/link/link-agent.js';
import { numberedRows } from '../dist/agent/tables/hook-table.js';
import { ledgerLayout } from '../dist/agent/ledger/layout.js';
import { Ledger } from '../dist/agent/ledger/ledger.js';
import { loadCode } from '../dist/agent/link/load-code.js';
import { GetModuleHandleW, GetProcAddress, VirtualAllocEx } from '../dist/ffi/kernel32.js';
import { viewMemory } from '../dist/ffi/library.js';
import { CURRENT_PROCESS } from '../dist/io/index.js';
import { inProject, measureByTurns, ratios, say, spell, spellCount } from './measure.js';

const PAGE_EXECUTE_READWRITE = 0x40;

const head = [0x4c, 0x8b, 0xd1, 0xb8, 0, 0, 0, 0]; // mov r10, rcx; mov eax, 0

/**
 * Stubs that make no system call. Each thread gets a handle of its own: its thread id, which is a multiple of 4 as
 * handles are.
 */
const stubs = {
  open: Uint8Array.of(
    ...head,
    ...[0x65, 0x48, 0x8b, 0x04, 0x25, 0x48, 0, 0, 0], // mov rax, gs:[48h]
    ...[0x48, 0x89, 0x01], // mov [rcx], rax
    ...[0x31, 0xc0], // xor eax, eax
    0xc3, // ret
  ),
  close: Uint8Array.of(...head, 0x31, 0xc0, 0xc3), // xor eax, eax; ret
};

/**
 * @param {number} rounds
 * @param {number} pairs of calls in each
 */
export async function measureRecorder(rounds, pairs) {
  const callPairs = koffi
    .load(inProject('fixtures/build/call-pairs-library.dll'))
    .func('measure', 'double', ['uintptr', 'uintptr', 'int', 'int', 'int']);
  const { ledger, bare, hooked } = await placeRecorder();
  say(`The recorder alone, nanoseconds a call, the lowest of ${rounds}`); // every disturbance makes it longer
  for (const { depth, threads } of [
    { depth: 4, threads: 1 },
    { depth: 12, threads: 1 },
    { depth: 24, threads: 1 },
    { depth: 12, threads: 2 },
  ]) {
    const time = (/** @type {Pair} */ { open, close }, count = pairs) =>
      callPairs(open, close, Math.ceil(count / threads), depth, threads) / (2 * count);
    const slowBefore = ledger.counter('slowWalks');
    time(bare, 1000);
    time(hooked, 1000);
    const ns = await measureByTurns(rounds, { alone: () => time(bare), recorded: () => time(hooked) });
    const [alone, recorded] = [Math.min(...ns.alone), Math.min(...ns.recorded)];
    const slow = ledger.counter('slowWalks') - slowBefore;
    say(
      `stacks of ${lastStackDepth(ledger)} frames, ${threads} thread${threads === 1 ? '' : 's'}: ${spell([recorded - alone], 0)} (a call alone ${spell([alone], 1)}); ratio ${spell(ratios(ns.recorded, ns.alone), 1)}`,
    );
    say(`  ${slow} of ${spellCount(2 * (rounds * pairs + 1000))} walks by the unwinder`);
  }
}

/** @typedef {{ open: bigint, close: bigint }} Pair addresses of functions */

/** @returns {Promise<{ ledger: Ledger, bare: Pair, hooked: Pair }>} */
async function placeRecorder() {
  const layout = ledgerLayout(1 << 16);
  const ledgerAddress = allocate(layout.sizeBytes);
  const ledger = new Ledger(
    (offset, sizeBytes) => new DataView(viewMemory(ledgerAddress + BigInt(offset), sizeBytes)),
    layout,
  );
  ledger.initialise();

  const open = allocate(0x1000);
  const close = open + 0x40n;
  write(open, stubs.open);
  write(close, stubs.close);
  const code = await loadCode({ quarantine: false, checked: false });
  const base = allocate(code.bytes.length);
  const target = {
    calls: [
      { ...rowOf('NtCreateEvent'), stubAddress: open, head: Uint8Array.from(head) },
      { ...rowOf('NtClose'), stubAddress: close, head: Uint8Array.from(head) },
    ],
    modules: [],
    closeHandle: undefined,
    ledger: ledgerAddress,
    layout,
    ntdllAddress: (/** @type {string} */ name) => GetProcAddress(GetModuleHandleW('ntdll.dll'), name),
    arrivedName: '\\unused',
    judgedName: '\\unused',
    threadsSeenName: '\\unused',
  };
  const { bytes, patches } = linkAgent(code, target, { base, relays: [] });
  write(base, bytes);
  // The target of the jump at the beginning of a hooked stub: 3 bytes of mov r10, rcx and 5 of jmp.
  const [openHook = 0n, closeHook = 0n] = patches.map(
    ({ address, bytes: head }) => address + 8n + BigInt(Buffer.from(head).readInt32LE(4)),
  );
  return { ledger, bare: { open, close }, hooked: { open: openHook, close: closeHook } };
}

/** @param {string} name */
function rowOf(name) {
  const numbered = numberedRows.find(({ row }) => row.name === name);
  if (numbered === undefined) throw new Error(`Cannot hook ${name}: it is not in the table.`);
  return numbered;
}

/** @param {number} sizeBytes */
function allocate(sizeBytes) {
  const address = VirtualAllocEx(CURRENT_PROCESS, 0n, BigInt(sizeBytes), 0x3000, PAGE_EXECUTE_READWRITE);
  if (address === 0n) throw new Error(`Cannot allocate ${sizeBytes} bytes.`);
  return address;
}

/**
 * @param {bigint} address
 * @param {Uint8Array} bytes
 */
function write(address, bytes) {
  new Uint8Array(viewMemory(address, bytes.length)).set(bytes);
}

/** @param {Ledger} ledger */
function lastStackDepth(ledger) {
  let last = { time: -1n, stackId: 0 };
  for (let value = 0; value < 1 << 16; value += 4) {
    const opened = ledger.life(BigInt(value))?.opened;
    if (opened !== undefined && BigInt(opened.time) > last.time)
      last = { time: BigInt(opened.time), stackId: opened.stackId };
  }
  return ledger.stack(last.stackId).length;
}
