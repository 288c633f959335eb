import type { HookRow } from '../../tables/hook-row.ts';
import type { Assembler } from '../../asm/assembler.ts';
import type { Label, Memory } from '../../asm/operands.ts';
import { edx } from '../../asm/registers.ts';
import { type FramedFunction, framedFunction } from '../abi/framed-function.ts';
import { emitCloses } from './closing-hook.ts';
import { emitDuplicates } from './duplicate-hook.ts';
import { emitExits, emitRaises } from './ending-hooks.ts';
import type { Hook, HookBody, HookEnvironment } from './hook-environment.ts';
import { emitKeepRow, emitPassThrough, hookFrame, RESULT, ROW, TRAMPOLINE } from './hook-frame.ts';
import { emitReportUses, emitSaveUses } from './hook-steps.ts';
import { emitMaps, emitUnmaps } from './mapping-hooks.ts';
import { emitReturn } from './stop-there.ts';
import { callAndType, emitCreatesProcess, emitOpens, emitOpensFile, emitOpensWithin } from './opening-hooks.ts';
import { emitControlsDevice, emitSetsObject, emitWaits, emitWaitsMany } from './using-hooks.ts';

/**
 * Emits the hook of one row, entered by a jump from the stub's head with the caller's registers and stack.
 *
 * Every register and stack argument reaches the trampoline as the caller gave it, and the result reaches the caller as
 * the kernel gave it.
 */
export function emitHook(
  asm: Assembler,
  begin: Label,
  trampoline: Label,
  row: HookRow,
  rowNumber: number,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    emitters[row.role as OwnRole](beginBody(asm, row, rowNumber, trampoline, environment, epilogue));
  });
}

function beginBody<RowNumber extends number | Memory>(
  asm: Assembler,
  row: HookRow,
  rowNumber: RowNumber,
  trampoline: Label | Memory,
  environment: HookEnvironment,
  epilogue: () => void,
): HookBody & { readonly rowNumber: RowNumber } {
  return {
    asm,
    row,
    rowNumber,
    environment,
    passThrough: () => emitPassThrough(asm, trampoline, row.argumentCount),
    return: () => emitReturn(asm, environment, { frame: hookFrame, result: RESULT, epilogue }),
  };
}

/** Many rows have these roles, and they are alike. A row of another role has a hook of its own. */
type SharedRole = 'opens' | 'uses';
type OwnRole = Exclude<HookRow['role'], SharedRole>;

/** Rows of the same shape share the body of their hooks; undefined for a row that has a hook of its own. */
export function sharedShape({ role, argumentCount, uses, opens, attributes }: HookRow): string | undefined {
  if (role !== 'opens' && role !== 'uses') return undefined;
  const stored = opens.map(({ argument, optional = false }) => `${argument}${optional ? '?' : ''}`);
  return `${role} ${stored}, uses ${uses}, of ${argumentCount} arguments, attributes ${attributes}`;
}

/** The number by which {@link emitThunk} tells a shared body which row it is. */
export function sharedRow({ opens }: HookRow, rowNumber: number): number {
  return callAndType(rowNumber, opens[0] ?? { type: 'Unknown' });
}

/** Emits the body that the hooks of one {@link sharedShape} share; {@link emitThunk} leads to it. */
export function emitSharedHook(
  asm: Assembler,
  begin: Label,
  row: HookRow,
  environment: HookEnvironment,
): FramedFunction {
  return framedFunction(asm, begin, hookFrame, (epilogue) => {
    const body = beginBody(asm, row, ROW, TRAMPOLINE, environment, epilogue);
    emitKeepRow(asm);
    if (row.role === 'opens') {
      emitOpens(body, () => asm.mov(edx, ROW));
      return;
    }
    emitSaveUses(body);
    body.passThrough();
    emitReportUses(body);
    body.return();
  });
}

const emitters: Record<OwnRole, (hook: Hook) => void> = {
  'opens-file': emitOpensFile,
  'opens-within': emitOpensWithin,
  'creates-process': emitCreatesProcess,
  closes: emitCloses,
  duplicates: emitDuplicates,
  waits: emitWaits,
  'waits-many': emitWaitsMany,
  'controls-device': emitControlsDevice,
  'sets-object': emitSetsObject,
  exits: emitExits,
  raises: emitRaises,
  maps: emitMaps,
  unmaps: emitUnmaps,
};
