// Measures the recorder alone: hooks of NtCreateEvent and NtClose in this very process, over stubs that make no system call.
import { writeSync } from 'node:fs';
import koffi from 'koffi';

const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { loadCode } = await built('agent/load-code.js');
const { linkAgent } = await built('agent/agent-image.js');
const { numberedRows } = await built('agent/hook-table.js');
const { Ledger } = await built('agent/ledger.js');
const { ledgerLayout } = await built('agent/ledger-layout.js');
const { GetModuleHandleW, GetProcAddress, VirtualAllocEx } = await built('ffi/kernel32.js');
const { viewMemory } = await built('ffi/library.js');
const { CURRENT_PROCESS } = await built('io/index.js');

const [library] = process.argv.slice(2);
const measure = koffi.load(library).func('measure', 'double', ['uintptr', 'uintptr', 'int', 'int', 'int']);

const PAGE_EXECUTE_READWRITE = 0x40;
function allocate(sizeBytes) {
  const address = VirtualAllocEx(CURRENT_PROCESS, 0n, BigInt(sizeBytes), 0x3000, PAGE_EXECUTE_READWRITE);
  if (address === 0n) throw new Error(`no memory for ${sizeBytes} bytes`);
  return address;
}

function write(address, bytes) {
  new Uint8Array(viewMemory(address, bytes.length)).set(bytes);
}

// A handle that each thread has for itself: its thread id, which is a multiple of 4 as handles are.
const openStub = Uint8Array.of(
  0x65, 0x48, 0x8b, 0x04, 0x25, 0x48, 0, 0, 0, // mov rax, gs:[48h]
  0x48, 0x89, 0x01, // mov [rcx], rax
  0x31, 0xc0, // xor eax, eax
  0xc3, // ret
);
const closeStub = Uint8Array.of(0x31, 0xc0, 0xc3); // xor eax, eax; ret

const layout = ledgerLayout(1 << 16);
const ledgerAddress = allocate(layout.sizeBytes);
const ledger = new Ledger((offset, sizeBytes) => new DataView(viewMemory(ledgerAddress + BigInt(offset), sizeBytes)), layout);
ledger.initialise();

const stubs = allocate(0x1000);
write(stubs, openStub);
write(stubs + 0x40n, closeStub);
const call = (name, stubAddress, stub) => ({ ...numberedRows.find(({ row }) => row.name === name), stubAddress, stub });
const code = await loadCode({ quarantine: false, checked: false });
const base = allocate(code.bytes.length);
const target = {
  calls: [call('NtCreateEvent', stubs, openStub), call('NtClose', stubs + 0x40n, closeStub)],
  modules: [],
  closeHandle: undefined,
  ledger: ledgerAddress,
  layout,
  nativeAddress: (name) => GetProcAddress(GetModuleHandleW('ntdll.dll'), name),
  arrivedName: '\\unused',
  judgedName: '\\unused',
};
const { bytes: agent, patches } = linkAgent(code, target, base, []);
write(base, agent);
/** Where the jump at a hooked stub's head leads: 3 bytes of mov r10, rcx and 5 of jmp. */
const [openHook, closeHook] = patches.map(({ address, bytes }) => address + 8n + BigInt(Buffer.from(bytes).readInt32LE(4)));

const PAIRS = 1_000_000;
/** Nanoseconds for one call; the lowest of several, for everything that disturbs makes it longer. */
function nanosecondsPerCall(open, close, depth, threads) {
  measure(open, close, 1000, depth, threads);
  return Math.min(...Array.from({ length: 9 }, () => measure(open, close, PAIRS / threads, depth, threads))) / (2 * PAIRS);
}

writeSync(1, 'The recorder alone, nanoseconds a call\n');
for (const [depth, threads] of [[4, 1], [12, 1], [24, 1], [12, 2]]) {
  const bare = nanosecondsPerCall(stubs, stubs + 0x40n, depth, threads);
  const slowBefore = ledger.counter('slowWalks');
  const hooked = nanosecondsPerCall(openHook, closeHook, depth, threads);
  const lives = Array.from({ length: 1 << 14 }, (_, index) => ledger.life(BigInt(index * 4))).filter((life) => life?.opened !== undefined);
  const last = lives.reduce((latest, life) => (life.opened.time > latest.opened.time ? life : latest));
  const frames = ledger.stack(last.opened.stackId).length;
  const slow = ledger.counter('slowWalks') - slowBefore;
  writeSync(
    1,
    `stacks of ${frames} frames, ${threads} thread${threads === 1 ? '' : 's'}: ${(hooked - bare).toFixed(0)} (the call itself ${bare.toFixed(0)}); ` +
      `${slow} of ${10 * PAIRS} walks by the unwinder\n`,
  );
}
