/** A general-purpose register, with the size of its access. */
export interface Register {
  readonly kind: 'register';
  /** Hardware number 0..15: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8..r15. */
  readonly code: number;
  readonly sizeBytes: 4 | 8;
}

function register(code: number, sizeBytes: 4 | 8): Register {
  return { kind: 'register', code, sizeBytes };
}

export const rax: Register = register(0, 8);
export const rcx: Register = register(1, 8);
export const rdx: Register = register(2, 8);
export const rbx: Register = register(3, 8);
export const rsp: Register = register(4, 8);
export const rbp: Register = register(5, 8);
export const rsi: Register = register(6, 8);
export const rdi: Register = register(7, 8);
export const r8: Register = register(8, 8);
export const r9: Register = register(9, 8);
export const r10: Register = register(10, 8);
export const r11: Register = register(11, 8);
export const r12: Register = register(12, 8);
export const r13: Register = register(13, 8);
export const r14: Register = register(14, 8);
export const r15: Register = register(15, 8);

// Their low halves. A write to one clears the upper half of the whole register.
export const eax: Register = register(0, 4);
export const ecx: Register = register(1, 4);
export const edx: Register = register(2, 4);
export const ebx: Register = register(3, 4);
export const esp: Register = register(4, 4);
export const ebp: Register = register(5, 4);
export const esi: Register = register(6, 4);
export const edi: Register = register(7, 4);
export const r8d: Register = register(8, 4);
export const r9d: Register = register(9, 4);
export const r10d: Register = register(10, 4);
export const r11d: Register = register(11, 4);
export const r12d: Register = register(12, 4);
export const r13d: Register = register(13, 4);
export const r14d: Register = register(14, 4);
export const r15d: Register = register(15, 4);

/** The low half of a register that a caller names; the others have names of their own. */
export function low32(register64: Register): Register {
  return register(register64.code, 4);
}
