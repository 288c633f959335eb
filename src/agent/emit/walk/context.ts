/** CONTEXT for x64, winnt.h. */
export const context = {
  sizeBytes: 0x4d0,
  contextFlags: 0x30,
  /** The other registers follow in the order of their hardware numbers. */
  rax: 0x78,
  rbx: 0x90,
  rsp: 0x98,
  rbp: 0xa0,
  rsi: 0xa8,
  rdi: 0xb0,
  r12: 0xd8,
  r13: 0xe0,
  r14: 0xe8,
  r15: 0xf0,
  rip: 0xf8,
} as const;

/**
 * Results of `predictUnwind` (predict-unwind.ts) and its own places. They lie in DWORD64 P1Home to P6Home of the
 * CONTEXT, which the unwinder neither reads nor writes.
 */
export const prediction = {
  callerRsp: 0x00,
  measuredFrom: 0x08,
  room: 0x10,
  chainLeft: 0x18,
  unwindInfo: 0x20,
  codeOffset: 0x28,
  /** Values of {@link measuredFrom}; the first two are as in an entry of the walk cache. */
  fromRsp: 0,
  fromRbp: 0x4000_0000,
  fromElsewhere: -1,
} as const;
