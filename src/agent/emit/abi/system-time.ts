import { absolute, type Memory } from '../../asm/operands.ts';

/** KUSER_SHARED_DATA.SystemTime: the present FILETIME, exact to the clock tick, read without a call. */
export const SYSTEM_TIME: Memory = absolute(0x7ffe_0014);
