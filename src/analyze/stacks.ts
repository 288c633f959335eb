import { type Frame, KEPT_FRAME_COUNT, type Stack } from '../model.ts';
import {
  beginsRustProgram,
  callsOnce,
  initialiserCallers,
  isRust,
  mayCallProgram,
  type RuntimeCode,
  runtimeCodeOf,
} from './runtimes/code.ts';
import { countCertainFrames, findRuntimeMaker, firstOffCallPath, isGo, isGoLibrary } from './runtimes/go.ts';

/**
 * The functions in which threads begin. On Wine 8, walks run past these frames into whatever lies above them on the
 * stack (`app.exe+0xc0000000`, addresses of no module), and such a frame would look like one of the program's.
 */
const threadBottoms: ReadonlySet<string> = new Set(['BaseThreadInitThunk', 'RtlUserThreadStart', 'LdrInitializeThunk']);

/** The C++ runtimes that Windows carries: an extension of the program, whose calls are the program's calls. */
const transparentModule: RegExp = /^(?:msvcp\d\w*|mfc\d\w*|concrt\d+\w*|vcruntime\d\w*)\.dll$/;

/**
 * A name this far below an address belongs to another function: in a module without symbols, the name is that of the
 * nearest export below. No function of 64 KiB is known.
 */
const farthestNamedOffset = 0x10000;

/** The module's file name, lower-case, without a directory (Windows compares file names without case). */
export function moduleName(frame: Frame): string {
  return frame.module.slice(Math.max(frame.module.lastIndexOf('\\'), frame.module.lastIndexOf('/')) + 1).toLowerCase();
}

/**
 * The name of the function without the parts that differ from build to build: GCC's marks of cloned and split
 * functions, and Rust's hash. Absent when there is no name, or when it is too far away.
 */
export function functionName(frame: Frame): string | undefined {
  const { function: name, offset } = frame;
  if (name === undefined || name === '') return undefined;
  if (offset < farthestNamedOffset && !buildMarkSign.test(name)) return name; // most names, and this test is quick
  // Go's own table ends each function where it ends, and `main.part` is a function like any other.
  if (isGo(frame)) return name;
  return offset < farthestNamedOffset ? withoutBuildMarks(name) : undefined;
}

const buildMarkSign: RegExp = /[.:[]/;

/**
 * Like {@link functionName}, but for a frame of the system by the name that its module exports: the same with and
 * without symbols of the system.
 */
export function exportedName(frame: Frame): string | undefined {
  if (frame.exported === undefined) return functionName(frame);
  return frame.exported === '' ? undefined : withoutBuildMarks(frame.exported);
}

/** Frames of the recorder that a full stack may have held, and that were left out. */
const recorderFrames = 4;

/**
 * The recorder kept no more of the stack, which goes on. The code that asked for the call may lie beyond.
 *
 * A short stack without a thread's beginning is whole: on Wine 8 the walk through the start of a process ends in ntdll.
 */
export function isCut(stack: Stack): boolean {
  return stack.length >= KEPT_FRAME_COUNT - recorderFrames && !reachesThreadStart(stack);
}

/** The stack goes on to the function that the thread began in. */
export function reachesThreadStart(stack: Stack): boolean {
  return stack.some((frame) => frame.system === true && threadBottoms.has(exportedName(frame) ?? ''));
}

function withoutBuildMarks(name: string): string {
  return name
    .replace(/(?:\s*\[clone [^\]]*\])+$/, '')
    .replace(/(?:\.(?:constprop|isra|part|cold|lto_priv|llvm)(?:\.\d+)*)+$/, '')
    .replace(/::h[0-9a-f]{16}$/, '');
}

/** The frames that are not the system's: the program's, and those of runtimes that it brought along. */
export function programFrames(stack: Stack): Stack {
  return stack.filter((frame) => frame.system !== true);
}

/** A trimmed stack, with what is known of each of its frames. */
interface Trimmed {
  readonly stack: Stack;
  /** By the frames' indexes; see {@link RuntimeCode}. The system's frames have none. */
  readonly codes: readonly (RuntimeCode | undefined)[];
}

const trimmedStacks: WeakMap<Stack, Trimmed> = new WeakMap();

/**
 * The stack up to the function that the thread began in, with the runtime's frames marked ({@link Frame.runtime}).
 * Frames of no module at its end are left out, and those that are certainly none.
 */
export function trimStack(stack: Stack): Stack {
  return trim(stack).stack;
}

function trim(stack: Stack): Trimmed {
  const known = trimmedStacks.get(stack);
  if (known !== undefined) return known;
  const bottom = stack.findIndex((frame) => frame.system === true && threadBottoms.has(exportedName(frame) ?? ''));
  let end = bottom === -1 ? stack.length : bottom + 1;
  // RtlUserThreadStart calls BaseThreadInitThunk: the pair is kept whole.
  while (end > 0 && end < stack.length && threadBottoms.has(exportedName(stack[end]!) ?? '')) end += 1;
  while (end > 1 && stack[end - 1]!.module === '?') end -= 1;
  const frames = stack.slice(0, Math.min(end, countCertainFrames(stack)));
  const codes = runtimeCodesOf(frames);
  const marked = frames.map((frame, index) =>
    codes[index] !== undefined && frame.runtime !== true ? { ...frame, runtime: true as const } : frame,
  );
  const trimmed = { stack: marked, codes };
  trimmedStacks.set(stack, trimmed);
  trimmedStacks.set(marked, trimmed);
  return trimmed;
}

/** Which frames are a runtime's: by their names, and the nameless ones among them by their callers. */
function runtimeCodesOf(frames: Stack): readonly (RuntimeCode | undefined)[] {
  const named = frames.map((frame) => ({
    name: functionName(frame),
    module: moduleName(frame),
    file: frame.file,
    system: frame.system === true,
  }));
  const rustModules = new Set(named.filter((frame) => !frame.system && isRust(frame)).map(({ module }) => module));
  const codes = named.map((frame, index): RuntimeCode | undefined => {
    if (frame.system) return undefined;
    if (isGo(frames[index]!)) return isGoLibrary(frames[index]!) ? 'go' : undefined;
    return runtimeCodeOf(frame, rustModules.has(frame.module));
  });
  const begin = named.findIndex((frame) => !frame.system && beginsRustProgram(frame.name));
  if (begin !== -1) named.forEach(({ system }, index) => index > begin && !system && (codes[index] = 'startup'));
  // From the outermost frame inwards: the caller of each is known by then.
  for (let index = frames.length - 2; index >= 0; index -= 1) {
    const { name, module, system } = named[index]!;
    if (system || name !== undefined || codes[index] !== undefined) continue;
    // A function that is called once was chosen by the one that asked for it.
    let caller = index + 1;
    while (caller < frames.length && callsOnce(named[caller]!.name)) caller += 1;
    const isRuntimes = codes[caller] === 'compiled' && named[caller]!.module === module;
    const isChosen = caller > index + 1;
    if (isRuntimes && (isChosen || !mayCallProgram(named[caller]!.name))) codes[index] = 'compiled';
  }
  // The symbols told more than a name does.
  frames.forEach(({ runtime, javascript }, index) => {
    if (runtime === true && !named[index]!.system) codes[index] ??= javascript === true ? 'engine' : 'host';
  });
  return codes;
}

/** The parts of a stack: which code made the call, and which function of the system it called. */
interface Anatomy {
  /** The whole stack, trimmed. */
  readonly stack: Stack;
  /**
   * The program's frame that made the call or called the system for it; absent when only system code is on the stack.
   */
  readonly site?: Frame;
  /** The function of the system that the program called; absent when the program made the system call itself. */
  readonly api?: Frame;
  /** The system's frames that carried the call out, {@link api} last; all frames when there is no {@link site}. */
  readonly inner: Stack;
  /**
   * The functions of the runtime through which the program made the call, the innermost first; system frames between
   * them have no code. Empty when the program called the system, or made the system call, itself.
   */
  readonly carriers: readonly { readonly frame: Frame; readonly code: RuntimeCode | undefined }[];
}

/**
 * Takes a stack apart at the innermost frame of the program.
 *
 * The site is the programmer's own code where there is any: a `fopen` that was linked into the program, or Rust's
 * standard library, is a runtime and not a site. A call that a runtime makes for itself is its own, even during a call
 * of the program.
 */
export function dissect(stack: Stack): Anatomy {
  const { stack: trimmed, codes } = trim(stack);
  const innermost = trimmed.findIndex((frame) => frame.system !== true);
  if (innermost === -1) return { stack: trimmed, inner: trimmed, carriers: [] };
  const inner = trimmed.slice(0, innermost);
  const api = inner.findLast((frame) => frame.interposed !== true && !transparentModule.test(moduleName(frame)));
  const own = trimmed.findIndex((frame, index) => frame.system !== true && codes[index] === undefined);
  const startup = codes.indexOf('startup');
  const ends = [own, startup].filter((index) => index !== -1);
  const carriers = trimmed
    .slice(innermost, Math.min(...ends, trimmed.length))
    .map((frame, index) => ({ frame, code: codes[innermost + index] }));
  const program = trimmed.slice(innermost);
  const site = findRuntimeMaker(program) ?? trimmed[own] ?? firstOffCallPath(program)!;
  return { stack: trimmed, site, ...(api === undefined ? {} : { api }), inner, carriers };
}

/**
 * The call was made while the program was being started: by an initialiser, by the runtime's own start-up code, or by
 * the loader. A frame must prove it: a stack without `main` may have lost it to a tail call, and a program without
 * symbols never shows it.
 */
export function isBeforeMain(stack: Stack): boolean {
  const { stack: trimmed, codes } = trim(stack);
  const names = trimmed.map((frame) => exportedName(frame) ?? '');
  if (names.some((name) => initialiserCallers.has(name) || name.startsWith('_GLOBAL__sub_I_'))) return true;
  if (names.some((name) => name.startsWith('`dynamic initializer for '))) return true;
  // A new thread enters through the loader too, but only symbols would tell the two apart.
  if (names.includes('LdrInitializeThunk')) return true;
  if (names.some(beginsRustProgram)) return false;
  return (
    trimmed.every((frame, index) => frame.system === true || codes[index] === 'startup') && codes.includes('startup')
  );
}

/**
 * The thread had not begun its own work: the loader was preparing it, which for the first thread is the whole program.
 */
export function isLoading(stack: Stack): boolean {
  return trimStack(stack).some((frame) => exportedName(frame) === 'LdrInitializeThunk');
}

/** `module!function`; `module+0x…` for a nameless frame of the program, the bare module for one of the system. */
function normaliseFrame(frame: Frame): string {
  const module = moduleName(frame);
  const name = exportedName(frame);
  if (name !== undefined) return `${module}!${name}`;
  // Offsets in the modules of Windows differ between machines, and addresses outside of modules differ between runs.
  return frame.system === true || frame.module === '?' ? module : `${module}+0x${frame.offset.toString(16)}`;
}

/**
 * The parts of a stack that are the same on every machine and in every build. First comes the family of the function of
 * the system that was called, without its module (kernel32's functions moved to kernelbase, and differ on Wine), then
 * the program's functions. The result leaves out how the system works, how threads start and how deep a recursion went.
 */
export function normaliseStack(stack: Stack): readonly string[] {
  const { stack: trimmed, site, api, inner } = dissect(stack);
  if (site === undefined) return withoutRepetition(normaliseSystem(inner));
  const { codes } = trim(stack);
  const outermost = codes.findLastIndex((code, index) => code === undefined && trimmed[index]!.system !== true);
  const isPart = (frame: Frame, index: number): boolean =>
    frame.system !== true &&
    codes[index] !== 'startup' &&
    codes[index] !== 'go' &&
    (outermost === -1 || index <= outermost);
  // How Go's runtime came to do something for itself differs from run to run.
  const program = site.runtime === true && isGo(site) ? [] : trimmed.filter(isPart);
  const frames = withoutRepetition((program.length > 0 ? program : [site]).map(normaliseFrame));
  return api === undefined ? frames : [familyOf(exportedName(api)) ?? moduleName(api), ...frames];
}

/**
 * `CreateEvent` for CreateEventA, CreateEventW, CreateEventExW. The functions of a family lead on to one another, by a
 * call on one system and on another by a jump, which leaves nothing on the stack: `CreateEventW` is a jump to
 * `CreateEventExW` under Wine 10.
 */
function familyOf(name: string | undefined): string | undefined {
  return name?.replace(/(?<=[a-z\d])(?:Ex\d?)?[AW]?$/, '');
}

/** Like {@link normaliseStack}, with the frames of the system, which distinguish its own calls inside of a function. */
export function normaliseStackWithInternals(stack: Stack): readonly string[] {
  return [...normaliseStack(stack), '<', ...withoutRepetition(normaliseSystem(dissect(stack).inner))];
}

/** The frames of the system without those that other software put between them. */
function normaliseSystem(frames: Stack): readonly string[] {
  return frames.filter(({ interposed }) => interposed !== true).map(normaliseFrame);
}

function withoutRepetition(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => name !== names[index - 1]);
}
