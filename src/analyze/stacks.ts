import type { Frame, Stack } from '../model.ts';
import { countCertainFrames, findRuntimeMaker, firstOffCallPath, isGo, isGoLibrary } from './runtimes/go.ts';

/**
 * The functions in which threads begin. On Wine 8, walks run past these frames into whatever lies above them on the
 * stack (`app.exe+0xc0000000`, addresses of no module), and such a frame would look like one of the program's.
 */
const threadBottoms: ReadonlySet<string> = new Set(['BaseThreadInitThunk', 'RtlUserThreadStart', 'LdrInitializeThunk']);

/**
 * Functions of the compilers' runtimes that stand between the operating system and `main`, as the symbols of
 * MinGW (crtexe.c, crtdll.c), of Microsoft's C runtime (exe_common.inl, dll_dllmain.cpp) and of Rust name them.
 */
const startupFunctions: ReadonlySet<string> = new Set([
  ...['mainCRTStartup', 'wmainCRTStartup', 'WinMainCRTStartup', 'wWinMainCRTStartup', '__tmainCRTStartup'],
  ...['__scrt_common_main', '__scrt_common_main_seh', 'invoke_main', '_start', 'pre_c_init', 'pre_cpp_init'],
  ...['_DllMainCRTStartup', '__DllMainCRTStartup', 'DllMainCRTStartup', 'DllEntryPoint', '_CRT_INIT'],
  ...['dllmain_dispatch', 'dllmain_raw', 'dllmain_crt_dispatch', 'dllmain_crt_process_attach'],
  ...['std::rt::lang_start', 'std::rt::lang_start_internal', 'std::sys::backtrace::__rust_begin_short_backtrace'],
]);

/** Functions that call the initialisers of a program before `main`: their frame proves that `main` has not begun. */
const initialiserCallers: ReadonlySet<string> = new Set([
  ...['_initterm', '_initterm_e', '__main', '__do_global_ctors', '_pei386_runtime_relocator', '__dyn_tls_init'],
  ...['pre_c_init', 'pre_cpp_init', '_GLOBAL__sub_I', '__static_initialization_and_destruction_0'],
]);

/** Where the sources of the compilers' runtimes lie, as debug information names them. */
const runtimeSource: RegExp =
  /(?:^|[\\/])(?:minkernel[\\/]crts|vctools[\\/]crt|mingw-w64-crt|winpthreads|libgcc|libstdc\+\+-v3|rustc[\\/][0-9a-f]{40}[\\/]library)[\\/]/i;

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

function withoutBuildMarks(name: string): string {
  return name
    .replace(/(?:\s*\[clone [^\]]*\])+$/, '')
    .replace(/(?:\.(?:constprop|isra|part|cold|lto_priv|llvm)(?:\.\d+)*)+$/, '')
    .replace(/::h[0-9a-f]{16}$/, '');
}

/** The frame belongs to the start-up code of the compiler's runtime. */
function isStartup(frame: Frame): boolean {
  // Without generic arguments: `std::rt::lang_start::<()>`, or `std::rt::lang_start<tuple$<> >` in a PDB.
  const name = functionName(frame)?.replace(/(?:::)?<.*>$/, '');
  return name !== undefined && frame.system !== true && (startupFunctions.has(name) || initialiserCallers.has(name));
}

function isRuntime(frame: Frame): boolean {
  if (frame.system === true) return false;
  return isStartup(frame) || isGoLibrary(frame) || (frame.file !== undefined && runtimeSource.test(frame.file));
}

/**
 * The stack up to the function that the thread began in, with the runtime's frames marked ({@link Frame.runtime}).
 * Frames of no module at its end are left out, and those that are certainly none.
 */
export function trimStack(stack: Stack): Stack {
  const bottom = stack.findIndex((frame) => frame.system === true && threadBottoms.has(functionName(frame) ?? ''));
  let end = bottom === -1 ? stack.length : bottom + 1;
  // RtlUserThreadStart calls BaseThreadInitThunk: the pair is kept whole.
  while (end > 0 && end < stack.length && threadBottoms.has(functionName(stack[end]!) ?? '')) end += 1;
  while (end > 1 && stack[end - 1]!.module === '?') end -= 1;
  return stack
    .slice(0, Math.min(end, countCertainFrames(stack)))
    .map((frame) => (isRuntime(frame) && frame.runtime !== true ? { ...frame, runtime: true } : frame));
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
}

/**
 * Takes a stack apart at the innermost frame of the program.
 *
 * The site is the programmer's own code where there is any: a `fopen` that was linked into the program, or Rust's
 * standard library, is a runtime and not a site. A call that a runtime makes for itself is its own, even during a call
 * of the program.
 */
export function dissect(stack: Stack): Anatomy {
  const trimmed = trimStack(stack);
  const innermost = trimmed.findIndex((frame) => frame.system !== true);
  if (innermost === -1) return { stack: trimmed, inner: trimmed };
  const inner = trimmed.slice(0, innermost);
  const api = inner.findLast((frame) => !transparentModule.test(moduleName(frame)));
  const program = trimmed.slice(innermost);
  const site =
    findRuntimeMaker(program) ??
    program.find((frame) => frame.system !== true && frame.runtime !== true) ??
    firstOffCallPath(program)!;
  return { stack: trimmed, site, ...(api === undefined ? {} : { api }), inner };
}

/**
 * The call was made while the program was being started: by an initialiser, by the runtime's own start-up code, or by
 * the loader. A frame must prove it: a stack without `main` may have lost it to a tail call, and a program without
 * symbols never shows it.
 */
export function isBeforeMain(stack: Stack): boolean {
  const trimmed = trimStack(stack);
  const names = trimmed.map((frame) => functionName(frame) ?? '');
  if (names.some((name) => initialiserCallers.has(name) || name.startsWith('_GLOBAL__sub_I_'))) return true;
  if (names.some((name) => name.startsWith('`dynamic initializer for '))) return true;
  // A new thread enters through the loader too, but that is after main. Wine's ntdll has no name for that function.
  if (names.includes('LdrInitializeThunk')) return !names.includes('LdrpInitializeThread');
  const program = trimmed.filter((frame) => frame.system !== true);
  return program.length > 0 && program.every((frame) => isStartup(frame));
}

/**
 * The thread had not begun its own work: the loader was preparing it, which for the first thread is the whole program.
 */
export function isLoading(stack: Stack): boolean {
  return trimStack(stack).some((frame) => functionName(frame) === 'LdrInitializeThunk');
}

/** `module!function`; `module+0x…` for a nameless frame of the program, the bare module for one of the system. */
function normaliseFrame(frame: Frame): string {
  const module = moduleName(frame);
  const name = functionName(frame);
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
  if (site === undefined) return withoutRepetition(inner.map(normaliseFrame));
  // How Go's runtime came to do something for itself differs from run to run.
  const program =
    site.runtime === true && isGo(site)
      ? []
      : trimmed.filter((frame) => frame.system !== true && !isStartup(frame) && !isGoLibrary(frame));
  const frames = withoutRepetition((program.length > 0 ? program : [site]).map(normaliseFrame));
  return api === undefined ? frames : [familyOf(functionName(api)) ?? moduleName(api), ...frames];
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
  return [...normaliseStack(stack), '<', ...withoutRepetition(dissect(stack).inner.map(normaliseFrame))];
}

function withoutRepetition(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => name !== names[index - 1]);
}
