/** NTSTATUS values, as `cmp eax, imm32` takes them: https://learn.microsoft.com/openspecs/windows_protocols/ms-erref */
export const STATUS_INVALID_HANDLE: number = 0xc000_0008 | 0;
export const STATUS_OBJECT_TYPE_MISMATCH: number = 0xc000_0024 | 0;
export const STATUS_ACCESS_DENIED: number = 0xc000_0022 | 0;
export const STATUS_HANDLE_NOT_CLOSABLE: number = 0xc000_0235 | 0;
export const STATUS_DYNAMIC_CODE_BLOCKED: number = 0xc000_0604 | 0;
export const STATUS_STACK_BUFFER_OVERRUN: number = 0xc000_0409 | 0;
export const STATUS_NOT_SAME_OBJECT: number = 0xc000_01ac | 0;
export const STATUS_PENDING = 0x103;
export const STATUS_TIMEOUT = 0x102;
