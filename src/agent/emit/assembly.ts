import { functionModules, numberedFunctions } from '../tables/function-table.ts';
import { numberedRows } from '../tables/hook-table.ts';
import { Assembler } from '../asm/assembler.ts';
import { type Label, type Memory, relative } from '../asm/operands.ts';
import { type AgentCode, type AgentVariant, CALL_TRAMPOLINE_SIZE_BYTES } from '../linkage/agent-code.ts';
import {
  AGENT_HEADER_ROOM_BYTES,
  agentHeader,
  grownFields,
  type GrownField,
  hashCode,
} from '../linkage/agent-header.ts';
import { GATE_NAME_SIZE_BYTES } from '../linkage/gate-name.ts';
import { type LinkedEnvironment, type LinkSlot, linkSlots } from '../linkage/link-slots.ts';
import { emitPatchTable } from '../linkage/patch-table.ts';
import { emitRuntimeObjectRow } from '../linkage/runtime-object-row.ts';
import type { FramedFunction } from './abi/framed-function.ts';
import { emitHook, emitSharedHook, sharedRow, sharedShape } from './hooks/call-hook.ts';
import { emitThunk } from './hooks/hook-frame.ts';
import { emitRequestHook, workAndCallback } from './hooks/functions/request-hook.ts';
import { emitSocketHook, sharedSocketShape } from './hooks/functions/socket-hook.ts';
import { emitFastFailHook } from './hooks/functions/fast-fail-hooks.ts';
import { emitSweepHook, rowAndObjects } from './hooks/sweeps.ts';
import { emitRoutines, labelRoutines, type Routines } from './routines.ts';
import { emitFunctionTable } from './runtime-function-table.ts';

/**
 * Assembles the agent: the routines, the hooks of all rows of both tables, the unwind data of them all, and room for
 * all that is linked.
 */
export function assembleAgent(variant: AgentVariant): AgentCode {
  const asm = new Assembler();
  const imageBase = asm.bind(asm.label('imageBase'));
  const grown = emitHeader(asm);
  const slots = labelLinkSlots(asm, grown);
  const routines = labelRoutines(asm, slots.environment, variant);
  const patchTables = functionModules.map((name) =>
    emitPatchTable(asm, numberedFunctions.filter(({ row }) => row.module === name).length),
  );
  const functions = emitRoutines(asm, routines, { imageBase, variant, patchTables });
  const hooks = emitHooks(asm, routines, functions);
  const { arrivedName, judgedName, threadsSeenName, childName } = routines.environment;
  const linked = {
    callTrampolines: emitRoom(asm, hooks.callTrampolines, CALL_TRAMPOLINE_SIZE_BYTES),
    functionTrampolineSlots: emitRoom(asm, hooks.functionTrampolineSlots, 8),
    linkSlots: emitRoom(asm, slots.labels, 8),
    ntdllImports: emitRoom(asm, [...slots.ntdllImports.values()], 8),
  };
  emitRoom(asm, [arrivedName, judgedName, threadsSeenName, childName], GATE_NAME_SIZE_BYTES);
  const fillFunctionTable = emitFunctionTable(asm, functions, routines.walk);

  const assembly = asm.assemble();
  fillFunctionTable(assembly);
  const { bytes, offsetOf } = assembly;
  return {
    bytes,
    hash: hashCode(bytes),
    linkSlotsOffset: offsetOf(linked.linkSlots),
    ntdllImports: [...slots.ntdllImports.keys()],
    ntdllImportsOffset: offsetOf(linked.ntdllImports),
    arrivedNameOffset: offsetOf(arrivedName),
    judgedNameOffset: offsetOf(judgedName),
    threadsSeenNameOffset: offsetOf(threadsSeenName),
    childNameOffset: offsetOf(childName),
    callHooks: hooks.callHooks.map(offsetOf),
    callTrampolinesOffset: offsetOf(linked.callTrampolines),
    functionHooks: hooks.functionHooks.map(offsetOf),
    functionTrampolineSlotsOffset: offsetOf(linked.functionTrampolineSlots),
    runtimeObjectRows: hooks.runtimeObjectRows.map((row) => (row === undefined ? 0 : offsetOf(row))),
    patchedModules: patchTables.map(({ module }) => offsetOf(module)),
    patchedFunctions: patchTables.map((patched) => offsetOf(patched.functions)),
  };
}

/** Emits room for the {@link agentHeader}, and returns its fields that the code writes. */
function emitHeader(asm: Assembler): Record<GrownField, Memory> {
  const fields = grownFields.toSorted((one, other) => agentHeader[one] - agentHeader[other]);
  let end = 0;
  const operands = fields.map((name) => {
    asm.data(new Uint8Array(agentHeader[name] - end));
    end = agentHeader[name];
    return [name, relative(asm.bind(asm.label(name)))] as const;
  });
  asm.data(new Uint8Array(AGENT_HEADER_ROOM_BYTES - end));
  return Object.fromEntries(operands) as Record<GrownField, Memory>;
}

/** Makes the labels of the link slots. Those of ntdll's functions follow as emitters ask for them. */
function labelLinkSlots(
  asm: Assembler,
  grown: Record<GrownField, Memory>,
): {
  readonly environment: LinkedEnvironment;
  readonly labels: readonly Label[];
  readonly ntdllImports: ReadonlyMap<string, Label>;
} {
  const labels = new Map(linkSlots.map((name) => [name, asm.label(name)]));
  const ntdllImports = new Map<string, Label>();
  const operands = Object.fromEntries([...labels].map(([name, label]) => [name, relative(label)]));
  return {
    environment: {
      linkSlots: operands as Record<LinkSlot, Memory>,
      grown,
      ntdllImport(name) {
        let label = ntdllImports.get(name);
        if (label === undefined) {
          label = asm.label(name);
          ntdllImports.set(name, label);
        }
        return relative(label);
      },
    },
    labels: [...labels.values()],
    ntdllImports,
  };
}

/** Emits the hooks of all rows of both tables, and adds their functions to `functions`. */
function emitHooks(
  asm: Assembler,
  { environment, runtimeObjectHook }: Routines,
  functions: FramedFunction[],
): {
  readonly callHooks: readonly Label[];
  readonly callTrampolines: readonly Label[];
  readonly functionHooks: readonly Label[];
  readonly functionTrampolineSlots: readonly Label[];
  readonly runtimeObjectRows: readonly (Label | undefined)[];
} {
  const bodies = new Map<string, Label>();
  const bodyOf = (shape: string, emit: (begin: Label) => FramedFunction): Label => {
    let body = bodies.get(shape);
    if (body === undefined) {
      body = asm.label(shape);
      bodies.set(shape, body);
      functions.push(emit(body));
    }
    return body;
  };
  const callTrampolines = numberedRows.map(({ row }) => asm.label(`${row.name} trampoline`));
  const callHooks = numberedRows.map(({ row, rowNumber }, index) => {
    const begin = asm.label(`${row.name} hook`);
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
    row.kind === 'runtime-object' ? emitRuntimeObjectRow(asm, rowNumber, row) : undefined,
  );
  const functionTrampolineSlots = numberedFunctions.map(({ row }) => asm.label(`${row.name} trampoline slot`));
  const functionHooks = numberedFunctions.map(({ row, rowNumber }, index) => {
    const begin = asm.label(`${row.name} hook`);
    const trampoline = relative(functionTrampolineSlots[index]!);
    switch (row.kind) {
      case 'socket': {
        const body = bodyOf(sharedSocketShape(row), (label) => emitSocketHook(asm, label, row, environment));
        emitThunk(asm, begin, rowNumber, trampoline, body);
        break;
      }
      case 'runtime-object':
        emitThunk(asm, begin, runtimeObjectRows[index]!, trampoline, runtimeObjectHook);
        break;
      case 'sweep': {
        const body = bodyOf('sweeps', (label) => emitSweepHook(asm, label, environment));
        emitThunk(asm, begin, rowAndObjects(rowNumber, row), trampoline, body);
        break;
      }
      case 'fast-fail': {
        const body = bodyOf(row.name, (label) => emitFastFailHook(asm, label, row, environment));
        emitThunk(asm, begin, rowNumber, trampoline, body);
        break;
      }
      case 'request': {
        const body = bodyOf('requests', (label) => emitRequestHook(asm, label, environment));
        emitThunk(asm, begin, workAndCallback(row), trampoline, body);
        break;
      }
    }
    return begin;
  });
  return { callHooks, callTrampolines, functionHooks, functionTrampolineSlots, runtimeObjectRows };
}

/** Emits room for each label, which the linker fills in, and returns the first label. */
function emitRoom(asm: Assembler, labels: readonly Label[], sizeBytes: number): Label {
  asm.align(16);
  for (const label of labels) {
    asm.bind(label);
    asm.data(new Uint8Array(sizeBytes));
  }
  return labels[0]!;
}
