import { Assembler, type Label, type Memory } from './assembler.ts';
import { emitExitGate, type GateEnvironment } from './exit-gate.ts';
import { emitHookFunctions, type FunctionPatches } from './function-patches.ts';
import { type FunctionRow, functionTable } from './function-table.ts';
import { type HookRow, hookTable } from './hook-table.ts';
import type { CodeRange, HookEnvironment, Quarantine } from './hook-frame.ts';
import { emitHook } from './hooks.ts';
import { emitForgetWalks, emitNoteImage } from './images.ts';
import { emitNoteInherited } from './inherited-handles.ts';
import type { LedgerLayout } from './ledger-layout.ts';
import { emitNoteMisuse, emitRecordMisuse } from './misuse-recorder.ts';
import { emitQuarantine } from './quarantine.ts';
import { emitChooseHandle, emitIsThisProcess, emitRecordClose, emitRecordOpen } from './recorder.ts';
import { emitInternStack } from './stack-pool.ts';
import { emitSocketHook } from './socket-hook.ts';
import { emitIsSocketPath } from './socket-path.ts';
import { emitCaptureStack, emitFullWalk } from './stack-walk.ts';
import { JUMP_SIZE_BYTES, type MovedPrologue } from './prologue.ts';
import { hookedHead, jumpHead } from './stub.ts';
import { emitForeseeUnwind } from './unwind-check.ts';
import { type FramedFunction, unwindInfo } from './unwind-info.ts';
import { emitNoteAccept, emitResolveAccept } from './wine-accept.ts';
import { emitWrapperHook } from './wrapper-hook.ts';
import { emitWrapperRow, emitWrapperThunk, type WrapperModule } from './wrapper-row.ts';
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
  readonly identity: FunctionPatches['identity'];
  readonly functions: readonly HookedFunction[];
  /** Memory in reach of the functions, {@link RELAY_SIZE_BYTES} for each. */
  readonly relays: bigint;
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

/** The agent, ready to be written at an address of which only its distance to ntdll matters. */
export interface AgentImage {
  readonly bytes: Uint8Array;
  /** What to write over each stub's head once the image lies at `imageBase`. */
  patches(imageBase: bigint): { readonly address: bigint; readonly bytes: Uint8Array }[];
  /** What to write at each module's {@link HookedModule.relays}: jumps on to the hooks. */
  relays(imageBase: bigint): { readonly address: bigint; readonly bytes: Uint8Array }[];
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
    assembler.align(16);
    trampolines.set(row.name, assembler.bind(assembler.label(`${row.name} trampoline`)));
    assembler.data(stub);
  }
  // The agent's own calls go past its hooks.
  const nativeCall = (name: string) => trampolines.get(name) ?? options.exportAddress(name);

  const hookedFunctions = options.modules.flatMap((module) => module.functions.map((hooked) => ({ ...hooked, module })));
  const functionTrampolines = hookedFunctions.map(({ row, code, moved }) => {
    assembler.align(16);
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

  const socketFunctionCount = hookedFunctions.filter(({ row }) => row.kind === 'socket').length;
  const sharedFunctionCount = 15 + (quarantine === undefined ? 0 : Object.keys(quarantine).length);
  const functionCount = options.calls.length + socketFunctionCount + sharedFunctionCount;
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
    emitHookFunctions(assembler, environment.hookFunctions, options.modules.map((module) => functionPatches(assembler, module)), environment),
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

  const hooks = options.calls.map((call) => {
    const begin = routine(`${call.row.name} hook`);
    const trampoline = trampolines.get(call.row.name);
    if (trampoline === undefined) throw new Error(`no trampoline for ${call.row.name}`);
    functions.push(emitHook(assembler, begin, trampoline, call.row, call.rowNumber, environment));
    return { call, begin };
  });
  const functionHooks = hookedFunctions.map(({ row, rowNumber, module }, index) => {
    const begin = routine(`${row.name} hook`);
    const trampoline = functionTrampolines[index]!;
    if (row.kind === 'socket') functions.push(emitSocketHook(assembler, begin, trampoline, row, rowNumber, environment));
    else emitWrapperThunk(assembler, begin, trampoline, emitWrapperRow(assembler, rowNumber, row, module), wrapperHook);
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
    bytes,
    patches: (base) =>
      hooks.map(({ call, begin }) => ({
        address: call.stubAddress,
        bytes: hookedHead(call.stubAddress, base + BigInt(offsetOf(begin))),
      })),
    relays: (base) =>
      options.modules.map((module) => {
        const relays = new Assembler();
        for (const { begin } of functionHooks.filter((hook) => hook.module === module)) {
          relays.align(RELAY_SIZE_BYTES);
          emitFarJump(relays, base + BigInt(offsetOf(begin)));
        }
        return { address: module.relays, bytes: relays.assemble().bytes };
      }),
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

/** Emits the table that `hookFunctions` works from. */
function functionPatches(assembler: Assembler, { base, identity, functions, relays }: HookedModule): FunctionPatches {
  const table = assembler.bind(assembler.label('function patches'));
  functions.forEach(({ address, code }, index) => {
    assembler.data64(address);
    assembler.data(code.subarray(0, 8));
    assembler.data(jumpHead(address, relays + BigInt(index * RELAY_SIZE_BYTES)));
    assembler.data(code.subarray(JUMP_SIZE_BYTES, 8));
  });
  return { moduleBase: base, identity, table, count: functions.length };
}

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
