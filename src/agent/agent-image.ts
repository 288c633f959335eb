import { Assembler, type Label, type Memory } from './assembler.ts';
import { emitExitGate, type GateEnvironment } from './exit-gate.ts';
import { emitHookFunctions, emitPatchTable, type PatchTable, setJump } from './function-patches.ts';
import { type FunctionRow, functionTable } from './function-table.ts';
import { type HookRow, hookTable } from './hook-table.ts';
import { type CodeRange, emitThunk, type HookEnvironment, type Quarantine } from './hook-frame.ts';
import { emitHook, emitSharedHook, sharedRow, sharedShape } from './hooks.ts';
import { emitForgetWalks, emitNoteImage } from './images.ts';
import { emitNoteInherited } from './inherited-handles.ts';
import type { LedgerLayout } from './ledger-layout.ts';
import { emitNoteMisuse, emitRecordMisuse } from './misuse-recorder.ts';
import { emitQuarantine } from './quarantine.ts';
import { emitChooseHandle, emitIsThisProcess, emitRecordClose, emitRecordOpen } from './recorder.ts';
import { emitInternStack } from './stack-pool.ts';
import { emitSocketHook, sharedSocketShape } from './socket-hook.ts';
import { emitIsSocketPath } from './socket-path.ts';
import { emitCaptureStack, emitFullWalk } from './stack-walk.ts';
import type { MovedPrologue } from './prologue.ts';
import { hookedHead } from './stub.ts';
import type { CodePatch } from './target-code.ts';
import { emitForeseeUnwind } from './unwind-check.ts';
import { type FramedFunction, unwindInfo } from './unwind-info.ts';
import { emitNoteAccept, emitResolveAccept } from './wine-accept.ts';
import { emitWrapperHook } from './wrapper-hook.ts';
import { emitWrapperRow, type WrapperModule } from './wrapper-row.ts';
import { emitClaimWrapper, emitCloseWrapper, emitFindWrapper, emitOpenWrapper } from './wrappers.ts';

/** A system call that is going to be hooked. */
export interface HookedCall {
  readonly row: HookRow;
  /** The row's number in the ledger. */
  readonly rowNumber: number;
  readonly stubAddress: bigint;
  /** The whole stub, see stub.ts. */
  readonly stub: Uint8Array;
}

/** A function of a DLL that is going to be hooked once the DLL is mapped. */
export interface HookedFunction {
  readonly row: FunctionRow;
  /** The row's number in the ledger. */
  readonly rowNumber: number;
  readonly address: bigint;
  /** Its first eight bytes or more. */
  readonly code: Uint8Array;
  readonly moved: MovedPrologue;
}

/** A DLL whose functions are going to be hooked. */
export interface HookedModule extends WrapperModule {
  readonly identity: PatchTable['identity'];
  readonly functions: readonly HookedFunction[];
}

export interface AgentOptions {
  readonly calls: readonly HookedCall[];
  readonly modules: readonly HookedModule[];
  /** Where CloseHandle lies in the target; absent where it is not known. */
  readonly closeHandle: CodeRange | undefined;
  /** This ntdll can compare objects. */
  readonly canCompareObjects: boolean;
  /** Address of the ledger in the target. */
  readonly ledger: bigint;
  readonly layout: LedgerLayout;
  /** Address of an export of ntdll in the target. */
  exportAddress(name: string): bigint;
  readonly arrivedName: string;
  readonly judgedName: string;
  /** See {@link emitCaptureStack}. */
  readonly checked: boolean;
}

/** The agent, of which only its distance to ntdll is still open, and where its relays are. */
export interface AgentImage {
  readonly sizeBytes: number;
  /**
   * What to write where, once it is known where the image will lie.
   *
   * @param relays for each module memory in reach of its functions, {@link RELAY_SIZE_BYTES} for each of them
   */
  place(imageBase: bigint, relays: readonly bigint[]): PlacedImage;
}

export interface PlacedImage {
  readonly bytes: Uint8Array;
  /** Jumps on to the hooks, for each module. */
  readonly relays: readonly CodePatch[];
  /** What comes over the heads of the stubs. */
  readonly patches: readonly CodePatch[];
}

/** `jmp [rip]` and the address, padded. */
export const RELAY_SIZE_BYTES = 16;

/** Assembles the agent: trampolines, hooks, the routines they share, and the unwind data of them all. */
export function buildAgentImage(options: AgentOptions): AgentImage {
  const assembler = new Assembler();
  const { ledger, layout } = options;
  const walkCache = ledger + BigInt(layout.walkCacheOffset);
  const imageBase = assembler.bind(assembler.label('imageBase'));

  const trampolines = new Map<string, Label>();
  for (const { row, stub } of options.calls) {
    trampolines.set(row.name, assembler.bind(assembler.label(`${row.name} trampoline`)));
    assembler.data(stub);
  }
  // The agent's own calls go past its hooks.
  const nativeCall = (name: string) => trampolines.get(name) ?? options.exportAddress(name);

  const hookedFunctions = options.modules.flatMap((module) => module.functions.map((hooked) => ({ ...hooked, module })));
  const functionTrampolines = hookedFunctions.map(({ row, code, moved }) => {
    const trampoline = assembler.bind(assembler.label(`${row.name} trampoline`));
    assembler.data(code.subarray(0, moved.sizeBytes));
    emitFarJump(assembler, moved.continuesAt);
    return trampoline;
  });

  const functions: FramedFunction[] = [];
  const routine = (name: string) => assembler.label(name);
  const shared = {
    captureStack: routine('captureStack'),
    fullWalk: routine('fullWalk'),
    internStack: routine('internStack'),
    foreseeUnwind: routine('foreseeUnwind'),
    functionTable: routine('functionTable'),
  };
  const quarantine: Quarantine | undefined =
    layout.quarantineCount === 0
      ? undefined
      : {
          isQuarantined: routine('isQuarantined'),
          awaitClose: routine('awaitClose'),
          enterQuarantine: routine('enterQuarantine'),
          moveOutOfQuarantine: routine('moveOutOfQuarantine'),
        };
  const environment: HookEnvironment & GateEnvironment & { canCompareObjects: boolean } = {
    ledger,
    layout,
    walkCache,
    nativeCall,
    arrivedName: options.arrivedName,
    judgedName: options.judgedName,
    recordOpen: routine('recordOpen'),
    recordClose: routine('recordClose'),
    captureStack: shared.captureStack,
    recordMisuse: routine('recordMisuse'),
    noteMisuse: routine('noteMisuse'),
    findWrapper: routine('findWrapper'),
    claimWrapper: routine('claimWrapper'),
    openWrapper: routine('openWrapper'),
    closeWrapper: routine('closeWrapper'),
    noteInherited: routine('noteInherited'),
    chooseHandle: routine('chooseHandle'),
    isThisProcess: routine('isThisProcess'),
    exitGate: routine('exitGate'),
    isSocketPath: routine('isSocketPath'),
    noteAccept: routine('noteAccept'),
    resolveAccept: routine('resolveAccept'),
    forgetWalks: routine('forgetWalks'),
    noteImage: routine('noteImage'),
    hookFunctions: routine('hookFunctions'),
    canCompareObjects: options.canCompareObjects,
    ...(options.closeHandle === undefined ? {} : { closeHandle: options.closeHandle }),
    ...(quarantine === undefined ? {} : { quarantine }),
  };

  const bodyNames = new Set([
    ...options.calls.map(({ row }) => sharedShape(row) ?? row.name),
    ...hookedFunctions.flatMap(({ row }) => (row.kind === 'socket' ? sharedSocketShape(row) : [])),
  ]);
  const sharedFunctionCount = 15 + (quarantine === undefined ? 0 : Object.keys(quarantine).length);
  const functionCount = bodyNames.size + sharedFunctionCount;
  const walkEnvironment = {
    ledger,
    walkCache,
    nativeCall,
    functionTable: shared.functionTable,
    foreseeUnwind: shared.foreseeUnwind,
    functionCount: () => functionCount,
    imageBase,
    checked: options.checked,
  };
  const wrapperHook = routine('wrapperHook');
  const patchTables = options.modules.map((module) => emitPatchTable(assembler, module));

  functions.push(
    emitCaptureStack(assembler, shared.captureStack, shared.fullWalk, shared.internStack, walkEnvironment),
    emitFullWalk(assembler, shared.fullWalk, walkEnvironment),
    emitRecordOpen(assembler, environment.recordOpen, environment),
    emitRecordClose(assembler, environment.recordClose, environment),
    emitRecordMisuse(assembler, environment.recordMisuse, environment),
    emitNoteMisuse(assembler, environment.noteMisuse, environment),
    emitOpenWrapper(assembler, environment.openWrapper, environment),
    emitCloseWrapper(assembler, environment.closeWrapper, environment),
    emitWrapperHook(assembler, wrapperHook, environment),
    emitIsThisProcess(assembler, environment.isThisProcess, environment),
    emitNoteInherited(assembler, environment.noteInherited, environment),
    emitExitGate(assembler, environment.exitGate, environment),
    emitResolveAccept(assembler, environment.resolveAccept, environment),
    emitNoteImage(assembler, environment.noteImage, environment),
    emitHookFunctions(assembler, environment.hookFunctions, patchTables, environment),
  );
  if (quarantine !== undefined) functions.push(...emitQuarantine(assembler, quarantine, environment));
  emitInternStack(assembler, shared.internStack, ledger, layout);
  emitForeseeUnwind(assembler, shared.foreseeUnwind);
  emitChooseHandle(assembler, environment.chooseHandle, environment);
  emitIsSocketPath(assembler, environment.isSocketPath);
  emitNoteAccept(assembler, environment.noteAccept, ledger);
  emitForgetWalks(assembler, environment.forgetWalks, walkCache);
  emitFindWrapper(assembler, environment.findWrapper, environment);
  emitClaimWrapper(assembler, environment.claimWrapper, environment);

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
  const hooks = options.calls.map((call) => {
    const { row, rowNumber } = call;
    const begin = routine(`${row.name} hook`);
    const trampoline = trampolines.get(row.name)!;
    const shape = sharedShape(row);
    if (shape === undefined) functions.push(emitHook(assembler, begin, trampoline, row, rowNumber, environment));
    else emitThunk(assembler, begin, sharedRow(row, rowNumber), trampoline, bodyOf(shape, (body) => emitSharedHook(assembler, body, row, environment)));
    return { call, begin };
  });
  assembler.align(8);
  const rows = hookedFunctions.map(({ row, rowNumber, module }) => (row.kind === 'socket' ? rowNumber : emitWrapperRow(assembler, rowNumber, row, module)));
  const functionHooks = hookedFunctions.map(({ row, module }, index) => {
    const begin = routine(`${row.name} hook`);
    const body = row.kind === 'socket' ? bodyOf(sharedSocketShape(row), (label) => emitSocketHook(assembler, label, row, environment)) : wrapperHook;
    emitThunk(assembler, begin, rows[index]!, functionTrampolines[index]!, body);
    return { module, begin };
  });
  if (functions.length !== functionCount) throw new Error(`${functions.length} framed functions, ${functionCount} announced`);

  const unwindLabels = emitUnwindInfo(assembler, functions);
  assembler.align(4);
  assembler.bind(shared.functionTable);
  assembler.data(new Uint8Array(functions.length * RUNTIME_FUNCTION_SIZE_BYTES));

  const { bytes, offsetOf } = assembler.assemble();
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
    sizeBytes: bytes.length,
    place(base, relays) {
      options.modules.forEach(({ functions: hooked }, module) => {
        const tableOffset = offsetOf(patchTables[module]!.table);
        hooked.forEach(({ address }, index) => setJump(bytes, tableOffset, index, address, relays[module]! + BigInt(index * RELAY_SIZE_BYTES)));
      });
      return {
        bytes,
        relays: options.modules.map((module, index) => {
          const jumps = new Assembler();
          for (const { begin } of functionHooks.filter((hook) => hook.module === module)) {
            jumps.align(RELAY_SIZE_BYTES);
            emitFarJump(jumps, base + BigInt(offsetOf(begin)));
          }
          return { address: relays[index]!, bytes: jumps.assemble().bytes };
        }),
        patches: hooks.map(({ call, begin }) => ({
          address: call.stubAddress,
          bytes: hookedHead(call.stubAddress, base + BigInt(offsetOf(begin))),
        })),
      };
    },
  };
}

const RUNTIME_FUNCTION_SIZE_BYTES = 12;

/** `jmp [rip]; dq address`: reaches everywhere and changes no register. */
function emitFarJump(assembler: Assembler, address: bigint): void {
  assembler.jmp(absoluteTarget);
  assembler.data64(address);
}

/** `[rip + 0]`: the eight bytes behind the instruction. */
const absoluteTarget: Memory = { kind: 'memory', displacement: 0, behind: true };

/** Emits one UNWIND_INFO per shape of frame. */
function emitUnwindInfo(assembler: Assembler, functions: readonly FramedFunction[]): Map<FramedFunction, Label> {
  const byContent = new Map<string, Label>();
  const byFunction = new Map<FramedFunction, Label>();
  for (const entry of functions) {
    const info = unwindInfo(entry.frame);
    const content = info.join();
    let label = byContent.get(content);
    if (label === undefined) {
      assembler.align(4);
      label = assembler.bind(assembler.label('UNWIND_INFO'));
      assembler.data(info);
      byContent.set(content, label);
    }
    byFunction.set(entry, label);
  }
  return byFunction;
}

/** The functions of the function table with their numbers. */
export const numberedFunctions: readonly { readonly row: FunctionRow; readonly rowNumber: number }[] = functionTable.map((row, index) => ({
  row,
  rowNumber: hookTable.length + index + 1,
}));

/** The rows of the hook table with the numbers that stand for them in the ledger. */
export const numberedRows: readonly { readonly row: HookRow; readonly rowNumber: number }[] = hookTable.map((row, index) => ({
  row,
  rowNumber: index + 1,
}));
