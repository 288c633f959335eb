/** Exit codes that say how a program ended (winerror.h, ntstatus.h); the last is the Visual C++ runtime's. */
const meanings: ReadonlyMap<number, string> = new Map([
  [0x80000003, 'breakpoint'],
  [0xc0000005, 'access violation'],
  [0xc0000008, 'invalid handle'],
  [0xc000001d, 'illegal instruction'],
  [0xc0000094, 'integer division by zero'],
  [0xc00000fd, 'stack overflow'],
  [0xc0000135, 'DLL not found'],
  [0xc000013a, 'Ctrl-C'],
  [0xc0000142, 'DLL initialisation failed'],
  [0xc0000374, 'heap corruption'],
  [0xc0000409, 'fail fast'],
  [0xe06d7363, 'unhandled C++ exception'],
]);

/** `0`, `3`, `0xc0000005 (access violation)`: codes with the top bit set are statuses, and known by their digits. */
export function spellExitCode(exitCode: number): string {
  const unsigned = exitCode >>> 0;
  if (unsigned < 0x80000000) return String(unsigned);
  const meaning = meanings.get(unsigned);
  return `0x${unsigned.toString(16)}${meaning === undefined ? '' : ` (${meaning})`}`;
}
