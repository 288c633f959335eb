/** TEB fields: https://learn.microsoft.com/windows/win32/api/winternl/ns-winternl-teb and phnt. */
export const tebField = {
  stackBase: 0x08, // PVOID NtTib.StackBase
  stackLimit: 0x10, // PVOID NtTib.StackLimit
  processId: 0x40, // HANDLE ClientId.UniqueProcess
  threadId: 0x48, // HANDLE ClientId.UniqueThread
  peb: 0x60, // PPEB ProcessEnvironmentBlock
  lastErrorValue: 0x68, // ULONG LastErrorValue
} as const;
