import type { Assembler } from '../../../../src/agent/asm/assembler.ts';
import { emitKeepMisuseLives } from '../../../../src/agent/emit/recorder/earlier-lives.ts';
import { emitInternMisuse } from '../../../../src/agent/emit/recorder/intern-misuse.ts';
import { emitCountMisuse } from '../../../../src/agent/emit/recorder/misuse-recorder.ts';
import { emitFindRuntimeObject } from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import { emitFindStranger, emitInternWrongCloser } from '../../../../src/agent/emit/recorder/strangers.ts';
import type { Routines } from '../../../../src/agent/emit/routines.ts';

/** Emits `countMisuse`, and the routines that it calls. They need the real NtAllocateVirtualMemory. */
export function emitMisuseRoutines(asm: Assembler, environment: Routines['environment']): void {
  emitCountMisuse(asm, environment.countMisuse, environment);
  emitKeepMisuseLives(asm, environment.keepMisuseLives, environment);
  emitInternMisuse(asm, environment.internMisuse, environment);
  emitInternWrongCloser(asm, environment.internWrongCloser, environment);
  emitFindStranger(asm, environment.findStranger, environment);
  emitFindRuntimeObject(asm, environment.findRuntimeObject, environment);
}
