import { functionModules, numberedFunctions } from '../tables/function-table.ts';
import { numberedRows } from '../tables/hook-table.ts';
import { Assembler } from '../asm/assembler.ts';
import { type Label, type Memory, relative } from '../asm/operands.ts';
import {
  type AgentCode,
  type AgentVariant,
  CALL_TRAMPOLINE_SIZE_BYTES,
  FUNCTION_TRAMPOLINE_SIZE_BYTES,
} from '../linkage/agent-code.ts';
import { GATE_NAME_SIZE_BYTES } from '../linkage/gate-name.ts';
import { type LinkSlot, linkSlots } from '../linkage/link-slots.ts';
import { emitPatchTable } from '../linkage/patch-table.ts';
import { emitRuntimeObjectRow } from '../linkage/runtime-object-row.ts';
import type { FramedFunction } from './abi/framed-function.ts';
import { unwindInfo } from './abi/unwind-info.ts';
import { emitCaptureStack } from './walk/capture-stack.ts';
import { emitPredictUnwind } from './walk/predict-unwind.ts';
import { emitClearWalkCache } from './walk/walk-cache.ts';
import { emitWalkWithUnwinder } from './walk/walk-with-unwinder.ts';
import { emitNoteImage } from './recorder/images.ts';
import { emitNoteInherited } from './recorder/inherited-handles.ts';
import { emitCountMisuse, emitInternMisuse } from './recorder/misuse-recorder.ts';
import { emitQuarantine } from './recorder/quarantine.ts';
import type { Quarantine } from './recorder/recorder-environment.ts';
import { emitRecordClose, emitRecordOpen } from './recorder/recorder.ts';
import {
  emitClaimRuntimeObject,
  emitCloseRuntimeObject,
  emitFindRuntimeObject,
  emitOpenRuntimeObject,
} from './recorder/runtime-objects.ts';
import { emitInternStack } from './recorder/stack-pool.ts';
import { emitIsThisProcess } from './recorder/this-process.ts';
import { emitFindUnknownHandle } from './recorder/unknown-handle.ts';
import { emitHook, emitSharedHook, sharedRow, sharedShape } from './hooks/call-hook.ts';
import { emitExitGate, type GateEnvironment } from './hooks/exit-gate.ts';
import { emitHookFunctions } from './hooks/function-patches.ts';
import type { HookEnvironment } from './hooks/hook-environment.ts';
import { emitThunk } from './hooks/hook-frame.ts';
import { emitRuntimeObjectHook } from './hooks/runtime-object-hook.ts';
import { emitSocketHook, sharedSocketShape } from './hooks/socket-hook.ts';
import { emitFileOrSocketType } from './hooks/socket-path.ts';
import { emitNoteAccept, emitResolveAccept } from './hooks/wine-accept.ts';

const RUNTIME_FUNCTION_SIZE_BYTES = 12;

/**
 * Assembles the agent: hooks of all rows of both tables, the routines they share, the unwind data of them all, and room
 * for what is linked.
 */
export function assembleAgent({ quarantine: hasQuarantine, checked }: AgentVariant): AgentCode {
  const asm = new Assembler();
  const imageBase = asm.bind(asm.label('imageBase'));
  const functions: FramedFunction[] = [];
  const routine = (name: string) => asm.label(name);

  const slotLabels = new Map(linkSlots.map((name) => [name, routine(name)]));
  const ntdllImports = new Map<string, Label>();
  const ntdllImport = (name: string): Memory => {
    let label = ntdllImports.get(name);
    if (label === undefined) {
      label = routine(name);
      ntdllImports.set(name, label);
    }
    return relative(label);
  };

  const shared = {
    captureStack: routine('captureStack'),
    walkWithUnwinder: routine('walkWithUnwinder'),
    internStack: routine('internStack'),
    predictUnwind: routine('predictUnwind'),
    functionTable: routine('functionTable'),
    functionCount: routine('functionCount'),
  };
  const quarantine: Quarantine = {
    isQuarantined: routine('isQuarantined'),
    awaitClose: routine('awaitClose'),
    enterQuarantine: routine('enterQuarantine'),
    moveOutOfQuarantine: routine('moveOutOfQuarantine'),
  };
  const environment: HookEnvironment & GateEnvironment = {
    linkSlots: Object.fromEntries([...slotLabels].map(([name, label]) => [name, relative(label)])) as Record<
      LinkSlot,
      Memory
    >,
    ntdllImport,
    arrivedName: routine('arrivedName'),
    judgedName: routine('judgedName'),
    recordOpen: routine('recordOpen'),
    recordClose: routine('recordClose'),
    captureStack: shared.captureStack,
    countMisuse: routine('countMisuse'),
    internMisuse: routine('internMisuse'),
    findRuntimeObject: routine('findRuntimeObject'),
    claimRuntimeObject: routine('claimRuntimeObject'),
    openRuntimeObject: routine('openRuntimeObject'),
    closeRuntimeObject: routine('closeRuntimeObject'),
    noteInherited: routine('noteInherited'),
    findUnknownHandle: routine('findUnknownHandle'),
    isThisProcess: routine('isThisProcess'),
    exitGate: routine('exitGate'),
    fileOrSocketType: routine('fileOrSocketType'),
    noteAccept: routine('noteAccept'),
    resolveAccept: routine('resolveAccept'),
    clearWalkCache: routine('clearWalkCache'),
    noteImage: routine('noteImage'),
    hookFunctions: routine('hookFunctions'),
    ...(hasQuarantine ? { quarantine } : {}),
  };
  const walkEnvironment = { ...environment, ...shared, imageBase, checked };

  const runtimeObjectHook = routine('runtimeObjectHook');
  const patchTables = functionModules.map((name) =>
    emitPatchTable(asm, numberedFunctions.filter(({ row }) => row.module === name).length),
  );
  functions.push(
    emitCaptureStack(asm, shared.captureStack, shared.walkWithUnwinder, shared.internStack, walkEnvironment),
    emitWalkWithUnwinder(asm, shared.walkWithUnwinder, walkEnvironment),
    emitRecordOpen(asm, environment.recordOpen, environment),
    emitRecordClose(asm, environment.recordClose, environment),
    emitCountMisuse(asm, environment.countMisuse, environment),
    emitInternMisuse(asm, environment.internMisuse, environment),
    emitOpenRuntimeObject(asm, environment.openRuntimeObject, environment),
    emitCloseRuntimeObject(asm, environment.closeRuntimeObject, environment),
    emitRuntimeObjectHook(asm, runtimeObjectHook, environment),
    emitIsThisProcess(asm, environment.isThisProcess, environment),
    emitNoteInherited(asm, environment.noteInherited, environment),
    emitExitGate(asm, environment.exitGate, environment),
    emitResolveAccept(asm, environment.resolveAccept, environment),
    emitNoteImage(asm, environment.noteImage, environment),
    emitHookFunctions(asm, environment.hookFunctions, patchTables, environment),
  );
  if (hasQuarantine) functions.push(...emitQuarantine(asm, quarantine, environment));
  emitInternStack(asm, shared.internStack, environment);
  emitPredictUnwind(asm, shared.predictUnwind);
  emitFindUnknownHandle(asm, environment.findUnknownHandle, environment);
  emitFileOrSocketType(asm, environment.fileOrSocketType);
  emitNoteAccept(asm, environment.noteAccept, environment);
  emitClearWalkCache(asm, environment.clearWalkCache, environment);
  emitFindRuntimeObject(asm, environment.findRuntimeObject, environment);
  emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);

  const bodies = new Map<string, Label>();
  const bodyOf = (shape: string, emit: (begin: Label) => FramedFunction): Label => {
    let body = bodies.get(shape);
    if (body === undefined) {
      body = routine(shape);
      bodies.set(shape, body);
      functions.push(emit(body));
    }
    return body;
  };
  const callTrampolines = numberedRows.map(({ row }) => routine(`${row.name} trampoline`));
  const callHooks = numberedRows.map(({ row, rowNumber }, index) => {
    const begin = routine(`${row.name} hook`);
    const trampoline = callTrampolines[index]!;
    const shape = sharedShape(row);
    if (shape === undefined) functions.push(emitHook(asm, begin, trampoline, row, rowNumber, environment));
    else
      emitThunk(
        asm,
        begin,
        sharedRow(row, rowNumber),
        trampoline,
        bodyOf(shape, (body) => emitSharedHook(asm, body, row, environment)),
      );
    return begin;
  });
  asm.align(8);
  const runtimeObjectRows = numberedFunctions.map(({ row, rowNumber }) =>
    row.kind === 'socket' ? undefined : emitRuntimeObjectRow(asm, rowNumber, row),
  );
  const functionTrampolines = numberedFunctions.map(({ row }) => routine(`${row.name} trampoline`));
  const functionHooks = numberedFunctions.map(({ row, rowNumber }, index) => {
    const begin = routine(`${row.name} hook`);
    const body =
      row.kind === 'socket'
        ? bodyOf(sharedSocketShape(row), (label) => emitSocketHook(asm, label, row, environment))
        : runtimeObjectHook;
    emitThunk(asm, begin, runtimeObjectRows[index] ?? rowNumber, functionTrampolines[index]!, body);
    return begin;
  });

  /** Room for something that is linked in; returns where the first begins. */
  const reserve = (labels: readonly Label[], sizeBytes: number): Label => {
    asm.align(16);
    for (const label of labels) {
      asm.bind(label);
      asm.data(new Uint8Array(sizeBytes));
    }
    return labels[0]!;
  };
  const linked = {
    callTrampolines: reserve(callTrampolines, CALL_TRAMPOLINE_SIZE_BYTES),
    functionTrampolines: reserve(functionTrampolines, FUNCTION_TRAMPOLINE_SIZE_BYTES),
    linkSlots: reserve([...slotLabels.values()], 8),
    ntdllImports: reserve([...ntdllImports.values()], 8),
  };
  reserve([environment.arrivedName, environment.judgedName], GATE_NAME_SIZE_BYTES);

  const unwindLabels = emitUnwindInfo(asm, functions);
  asm.align(4);
  asm.bind(shared.functionCount);
  asm.data(new Uint8Array(Uint32Array.of(functions.length).buffer));
  asm.bind(shared.functionTable);
  asm.data(new Uint8Array(functions.length * RUNTIME_FUNCTION_SIZE_BYTES));

  const { bytes, offsetOf } = asm.assemble();
  const table = new DataView(bytes.buffer, bytes.byteOffset + offsetOf(shared.functionTable));
  functions
    .toSorted((a, b) => offsetOf(a.begin) - offsetOf(b.begin))
    .forEach((entry, index) => {
      const unwind = unwindLabels.get(entry);
      if (unwind === undefined) throw new Error(`no unwind data for ${entry.begin.name}`);
      table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES, offsetOf(entry.begin), true); // DWORD BeginAddress
      table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES + 4, offsetOf(entry.end), true); // DWORD EndAddress
      table.setUint32(index * RUNTIME_FUNCTION_SIZE_BYTES + 8, offsetOf(unwind), true); // DWORD UnwindData
    });
  return {
    bytes,
    linkSlotsOffset: offsetOf(linked.linkSlots),
    ntdllImports: [...ntdllImports.keys()],
    ntdllImportsOffset: offsetOf(linked.ntdllImports),
    arrivedNameOffset: offsetOf(environment.arrivedName),
    judgedNameOffset: offsetOf(environment.judgedName),
    callHooks: callHooks.map(offsetOf),
    callTrampolinesOffset: offsetOf(linked.callTrampolines),
    functionHooks: functionHooks.map(offsetOf),
    functionTrampolinesOffset: offsetOf(linked.functionTrampolines),
    runtimeObjectRows: runtimeObjectRows.map((row) => (row === undefined ? 0 : offsetOf(row))),
    patchedModules: patchTables.map(({ module }) => offsetOf(module)),
    patchedFunctions: patchTables.map((patched) => offsetOf(patched.functions)),
  };
}

/** Emits one UNWIND_INFO per shape of frame. */
function emitUnwindInfo(asm: Assembler, functions: readonly FramedFunction[]): Map<FramedFunction, Label> {
  const byContent = new Map<string, Label>();
  const byFunction = new Map<FramedFunction, Label>();
  for (const entry of functions) {
    const info = unwindInfo(entry.frame);
    const content = info.join();
    let label = byContent.get(content);
    if (label === undefined) {
      asm.align(4);
      label = asm.bind(asm.label('UNWIND_INFO'));
      asm.data(info);
      byContent.set(content, label);
    }
    byFunction.set(entry, label);
  }
  return byFunction;
}
