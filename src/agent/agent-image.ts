import { Assembler, type Label } from './assembler.ts';
import { emitExitGate, type GateEnvironment } from './exit-gate.ts';
import { type HookRow, hookTable } from './hook-table.ts';
import { emitForgetWalks, emitHook, emitIsSocketPath, emitNoteAccept, emitNoteImage, emitResolveAccept, type HookEnvironment } from './hooks.ts';
import type { LedgerLayout } from './ledger-layout.ts';
import { emitChooseHandle, emitIsThisProcess, emitRecordClose, emitRecordMisuse, emitRecordOpen } from './recorder.ts';
import { emitInternStack } from './stack-pool.ts';
import { emitCaptureStack, emitFullWalk } from './stack-walk.ts';
import { hookedHead } from './stub.ts';
import { type FramedFunction, unwindInfo } from './unwind-info.ts';

/** A system call that is going to be hooked. */
export interface HookedCall {
  readonly row: HookRow;
  /** The row's number in the ledger. */
  readonly rowNumber: number;
  readonly stubAddress: bigint;
  /** The whole stub, see stub.ts. */
  readonly stub: Uint8Array;
}

export interface AgentOptions {
  readonly calls: readonly HookedCall[];
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
}

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

  const functions: FramedFunction[] = [];
  const routine = (name: string) => assembler.label(name);
  const shared = {
    captureStack: routine('captureStack'),
    fullWalk: routine('fullWalk'),
    internStack: routine('internStack'),
    functionTable: routine('functionTable'),
  };
  const environment: HookEnvironment & GateEnvironment = {
    ledger,
    layout,
    walkCache,
    nativeCall,
    arrivedName: options.arrivedName,
    judgedName: options.judgedName,
    recordOpen: routine('recordOpen'),
    recordClose: routine('recordClose'),
    recordMisuse: routine('recordMisuse'),
    chooseHandle: routine('chooseHandle'),
    isThisProcess: routine('isThisProcess'),
    exitGate: routine('exitGate'),
    isSocketPath: routine('isSocketPath'),
    noteAccept: routine('noteAccept'),
    resolveAccept: routine('resolveAccept'),
    forgetWalks: routine('forgetWalks'),
    noteImage: routine('noteImage'),
  };

  const sharedFunctionCount = 9;
  const functionCount = options.calls.length + sharedFunctionCount;
  const walkEnvironment = {
    ledger,
    walkCache,
    nativeCall,
    functionTable: shared.functionTable,
    functionCount: () => functionCount,
    imageBase,
    checked: options.checked,
  };
  const recorderEnvironment = { ...environment, captureStack: shared.captureStack };

  functions.push(
    emitCaptureStack(assembler, shared.captureStack, shared.fullWalk, shared.internStack, walkEnvironment),
    emitFullWalk(assembler, shared.fullWalk, walkEnvironment),
    emitRecordOpen(assembler, environment.recordOpen, recorderEnvironment),
    emitRecordClose(assembler, environment.recordClose, recorderEnvironment),
    emitRecordMisuse(assembler, environment.recordMisuse, recorderEnvironment),
    emitIsThisProcess(assembler, environment.isThisProcess, recorderEnvironment),
    emitExitGate(assembler, environment.exitGate, environment),
    emitResolveAccept(assembler, environment.resolveAccept, environment),
    emitNoteImage(assembler, environment.noteImage, environment),
  );
  emitInternStack(assembler, shared.internStack, ledger, layout);
  emitChooseHandle(assembler, environment.chooseHandle, recorderEnvironment);
  emitIsSocketPath(assembler, environment.isSocketPath);
  emitNoteAccept(assembler, environment.noteAccept, ledger);
  emitForgetWalks(assembler, environment.forgetWalks, walkCache);

  const hooks = options.calls.map((call) => {
    const begin = routine(`${call.row.name} hook`);
    const trampoline = trampolines.get(call.row.name);
    if (trampoline === undefined) throw new Error(`no trampoline for ${call.row.name}`);
    functions.push(emitHook(assembler, begin, trampoline, call.row, call.rowNumber, environment));
    return { call, begin };
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
  };
}

const RUNTIME_FUNCTION_SIZE_BYTES = 12;

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

/** The rows of the hook table with the numbers that stand for them in the ledger. */
export const numberedRows: readonly { readonly row: HookRow; readonly rowNumber: number }[] = hookTable.map((row, index) => ({
  row,
  rowNumber: index + 1,
}));
