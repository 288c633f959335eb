import type { Assembler } from '../asm/assembler.ts';
import type { Label } from '../asm/operands.ts';
import type { AgentVariant } from '../linkage/agent-code.ts';
import type { LinkedEnvironment } from '../linkage/link-slots.ts';
import type { PatchTable } from '../linkage/patch-table.ts';
import type { FramedFunction } from './abi/framed-function.ts';
import { emitCaptureStack } from './walk/capture-stack.ts';
import { emitPredictUnwind } from './walk/predict-unwind.ts';
import { emitIsBeingDone } from './walk/is-being-done.ts';
import { emitNoteBytecode } from './walk/note-bytecode.ts';
import { emitWalkGoFrames } from './walk/walk-go-frames.ts';
import { emitClearWalkCache } from './walk/walk-cache.ts';
import { emitWalkWithUnwinder, type WalkEnvironment } from './walk/walk-with-unwinder.ts';
import { emitKeepMisuseLives } from './recorder/earlier-lives.ts';
import { emitNoteElsewhere } from './recorder/elsewhere.ts';
import { emitGrowSlots, emitGrowStackPool } from './recorder/grow-ledger.ts';
import { emitNoteImage } from './recorder/images.ts';
import { emitNoteInherited } from './recorder/inherited-handles.ts';
import { emitInternMisuse } from './recorder/intern-misuse.ts';
import { emitCountMisuse } from './recorder/misuse-recorder.ts';
import { emitQuarantine } from './recorder/quarantine.ts';
import type { Quarantine, Stops } from './recorder/recorder-environment.ts';
import { emitRecordClose, emitRecordOpen } from './recorder/recorder.ts';
import {
  emitClaimRuntimeObject,
  emitCloseRuntimeObject,
  emitFindRuntimeObject,
  emitOpenRuntimeObject,
} from './recorder/runtime-objects.ts';
import { emitInternStack } from './recorder/stack-pool.ts';
import { emitFindStranger, emitFindTruncated, emitInternWrongCloser } from './recorder/strangers.ts';
import { emitIsThisProcess } from './recorder/this-process.ts';
import { emitFindUnknownHandle } from './recorder/unknown-handle.ts';
import { emitExitGate, type GateEnvironment } from './hooks/exit-gate.ts';
import { emitFollowChild } from './hooks/follow-child.ts';
import { emitFileOrSocketType } from './hooks/file-or-socket-type.ts';
import { emitHookFunctions } from './hooks/function-patches.ts';
import type { HookEnvironment } from './hooks/hook-environment.ts';
import { emitOpenLent } from './hooks/named-objects.ts';
import { emitStops } from './hooks/stop-there.ts';
import { emitFindSweep } from './hooks/sweeps.ts';
import { emitNoteAccept, emitResolveAccept } from './hooks/wine-accept.ts';
import { emitRuntimeObjectHook } from './hooks/runtime-objects/runtime-object-hook.ts';

/** The parts of the surrounding code that the routines need. */
interface RoutineOptions {
  readonly imageBase: Label;
  readonly variant: AgentVariant;
  /** The tables of {@link functionModules}. */
  readonly patchTables: readonly PatchTable[];
}

/** The labels of all routines, by which they and the hooks call each other. */
export interface Routines {
  readonly environment: HookEnvironment & GateEnvironment;
  readonly walk: Pick<
    WalkEnvironment,
    'functionTable' | 'functionCount' | 'predictUnwind' | 'walkGoFrames' | 'noteBytecode' | 'isBeingDone'
  > & {
    readonly walkWithUnwinder: Label;
    readonly internStack: Label;
    readonly growStackPool: Label;
  };
  /** The hook of all functions that work on runtime objects. */
  readonly runtimeObjectHook: Label;
}

/** Makes the labels of all routines of one variant. */
export function labelRoutines(asm: Assembler, linked: LinkedEnvironment, variant: AgentVariant): Routines {
  const routine = (name: string) => asm.label(name);
  const quarantine: Quarantine = {
    isQuarantined: routine('isQuarantined'),
    awaitClose: routine('awaitClose'),
    enterQuarantine: routine('enterQuarantine'),
    moveOutOfQuarantine: routine('moveOutOfQuarantine'),
  };
  const stops: Stops = {
    noteStop: routine('noteStop'),
    stopThere: routine('stopThere'),
    askAuditor: routine('askAuditor'),
    countWatched: routine('countWatched'),
    breakThere: routine('breakThere'),
  };
  return {
    environment: {
      ...linked,
      arrivedName: routine('arrivedName'),
      judgedName: routine('judgedName'),
      threadsSeenName: routine('threadsSeenName'),
      childName: routine('childName'),
      recordOpen: routine('recordOpen'),
      recordClose: routine('recordClose'),
      captureStack: routine('captureStack'),
      growSlots: routine('growSlots'),
      keepMisuseLives: routine('keepMisuseLives'),
      countMisuse: routine('countMisuse'),
      internMisuse: routine('internMisuse'),
      internWrongCloser: routine('internWrongCloser'),
      findRuntimeObject: routine('findRuntimeObject'),
      findStranger: routine('findStranger'),
      findTruncated: routine('findTruncated'),
      claimRuntimeObject: routine('claimRuntimeObject'),
      openRuntimeObject: routine('openRuntimeObject'),
      closeRuntimeObject: routine('closeRuntimeObject'),
      noteInherited: routine('noteInherited'),
      noteElsewhere: routine('noteElsewhere'),
      findUnknownHandle: routine('findUnknownHandle'),
      isThisProcess: routine('isThisProcess'),
      exitGate: routine('exitGate'),
      openLent: routine('openLent'),
      followChild: routine('followChild'),
      fileOrSocketType: routine('fileOrSocketType'),
      noteAccept: routine('noteAccept'),
      resolveAccept: routine('resolveAccept'),
      clearWalkCache: routine('clearWalkCache'),
      noteImage: routine('noteImage'),
      hookFunctions: routine('hookFunctions'),
      findSweep: routine('findSweep'),
      ...(variant.quarantine ? { quarantine } : {}),
      ...(variant.stops === true ? { stops } : {}),
    },
    walk: {
      walkWithUnwinder: routine('walkWithUnwinder'),
      internStack: routine('internStack'),
      growStackPool: routine('growStackPool'),
      predictUnwind: routine('predictUnwind'),
      walkGoFrames: routine('walkGoFrames'),
      noteBytecode: routine('noteBytecode'),
      isBeingDone: routine('isBeingDone'),
      functionTable: routine('functionTable'),
      functionCount: routine('functionCount'),
    },
    runtimeObjectHook: routine('runtimeObjectHook'),
  };
}

/** Emits all routines, and returns those that have a frame. */
export function emitRoutines(
  asm: Assembler,
  { environment, walk, runtimeObjectHook }: Routines,
  { imageBase, variant, patchTables }: RoutineOptions,
): FramedFunction[] {
  const walkEnvironment: WalkEnvironment = { ...environment, ...walk, imageBase, checked: variant.checked };
  const framed = [
    emitCaptureStack(asm, environment.captureStack, walk.walkWithUnwinder, walk, walkEnvironment),
    emitWalkWithUnwinder(asm, walk.walkWithUnwinder, walkEnvironment),
    emitWalkGoFrames(asm, walk.walkGoFrames, environment),
    emitNoteBytecode(asm, walk.noteBytecode, environment),
    emitIsBeingDone(asm, walk.isBeingDone, environment),
    emitGrowSlots(asm, environment.growSlots, environment),
    emitGrowStackPool(asm, walk.growStackPool, environment),
    emitRecordOpen(asm, environment.recordOpen, environment),
    emitRecordClose(asm, environment.recordClose, environment),
    emitKeepMisuseLives(asm, environment.keepMisuseLives, environment),
    emitCountMisuse(asm, environment.countMisuse, environment),
    emitInternMisuse(asm, environment.internMisuse, environment),
    emitInternWrongCloser(asm, environment.internWrongCloser, environment),
    emitFindStranger(asm, environment.findStranger, environment),
    emitOpenRuntimeObject(asm, environment.openRuntimeObject, environment),
    emitCloseRuntimeObject(asm, environment.closeRuntimeObject, environment),
    emitRuntimeObjectHook(asm, runtimeObjectHook, environment),
    emitIsThisProcess(asm, environment.isThisProcess, environment),
    emitNoteInherited(asm, environment.noteInherited, environment),
    emitNoteElsewhere(asm, environment.noteElsewhere, environment),
    emitExitGate(asm, environment.exitGate, environment),
    emitOpenLent(asm, environment.openLent, environment),
    emitFollowChild(asm, environment.followChild, environment),
    emitResolveAccept(asm, environment.resolveAccept, environment),
    emitNoteImage(asm, environment.noteImage, environment),
    emitHookFunctions(asm, environment.hookFunctions, patchTables, environment),
  ];
  const { quarantine, stops } = environment;
  if (quarantine !== undefined) framed.push(...emitQuarantine(asm, quarantine, environment));
  if (stops !== undefined) framed.push(...emitStops(asm, stops, environment));
  // leaf functions
  emitInternStack(asm, walk.internStack, environment);
  emitPredictUnwind(asm, walk.predictUnwind);
  emitFindUnknownHandle(asm, environment.findUnknownHandle, environment);
  emitFileOrSocketType(asm, environment.fileOrSocketType);
  emitNoteAccept(asm, environment.noteAccept, environment);
  emitFindSweep(asm, environment.findSweep, environment);
  emitClearWalkCache(asm, environment.clearWalkCache, environment);
  emitFindRuntimeObject(asm, environment.findRuntimeObject, environment);
  emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);
  emitFindTruncated(asm, environment.findTruncated, environment);
  return framed;
}
