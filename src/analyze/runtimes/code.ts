/**
 * The code that compilers and languages bring into a program: libgcc, libstdc++, winpthreads, Microsoft's C and C++
 * runtimes, the standard libraries of Rust and Zig, libuv, OpenSSL's beginning, .NET's host. It is known by its names,
 * its DLLs, or the paths of its sources. Names are those of the projects' public sources.
 */

/**
 * How a function of a runtime came to be.
 *
 * - `startup`: it leads from the operating system to `main`, or to the function of a thread;
 * - `compiled`: it was compiled with the runtime, and holds no code of the program;
 * - `generic`: the program's compiler made it from a template or generic function, or may have, and may have put the
 *   program's own code into it (`std::call_once<…>`, `core::ops::function::FnOnce::call_once`);
 * - `go`: it is of Go's runtime or standard library (go.ts);
 * - `host`: it is .NET's, which opens handles only for itself. The program's code calls Windows from outside of it;
 * - `engine`: it is of Node.js or V8, which open handles for functions of JavaScript that stand on the same stack.
 */
export type RuntimeCode = 'startup' | 'compiled' | 'generic' | 'go' | 'host' | 'engine';

/** A frame by what is known of it. */
interface NamedFrame {
  /** See functionName in stacks.ts; absent for a nameless function. */
  readonly name: string | undefined;
  /** In lower case, without a directory. */
  readonly module: string;
  /** The source file, where debug information names it. */
  readonly file: string | undefined;
}

/**
 * Functions of the compilers' runtimes that stand between the operating system and `main`, as the symbols of
 * MinGW (crtexe.c, crtdll.c), of Microsoft's C runtime (exe_common.inl, dll_dllmain.cpp) and of Rust name them.
 */
const startupFunctions: ReadonlySet<string> = new Set([
  ...['mainCRTStartup', 'wmainCRTStartup', 'WinMainCRTStartup', 'wWinMainCRTStartup', '__tmainCRTStartup'],
  ...['__scrt_common_main', '__scrt_common_main_seh', 'invoke_main', '_start', 'pre_c_init', 'pre_cpp_init'],
  ...['_DllMainCRTStartup', '__DllMainCRTStartup', 'DllMainCRTStartup', 'DllEntryPoint', '_CRT_INIT'],
  ...['dllmain_dispatch', 'dllmain_raw', 'dllmain_crt_dispatch', 'dllmain_crt_process_attach'],
  ...['std::rt::lang_start', 'std::rt::lang_start_internal'],
]);

/** Functions that call the initialisers of a program before `main`: their frame proves that `main` has not begun. */
export const initialiserCallers: ReadonlySet<string> = new Set([
  ...['_initterm', '_initterm_e', '__main', '__do_global_ctors', '_pei386_runtime_relocator', '__dyn_tls_init'],
  ...['pre_c_init', 'pre_cpp_init', '_GLOBAL__sub_I', '__static_initialization_and_destruction_0'],
]);

/** Rust's mark of where the program's code begins: in `std::sys_common::backtrace`, later in `std::sys::backtrace`. */
const beginOfRustProgram: RegExp = /(?:^|::)__rust_begin_short_backtrace$/;

/** The frame calls `main`, or the function of a thread, of a Rust program: the program's code has begun. */
export function beginsRustProgram(name: string | undefined): boolean {
  return name !== undefined && beginOfRustProgram.test(withoutGenerics(name));
}

/** Where the sources of the compilers' runtimes lie, as debug information names them. */
const runtimeSource: RegExp = new RegExp(
  `(?:^|[\\\\/])(?:${[
    String.raw`minkernel[\\/]crts|vctools[\\/]crt`,
    'mingw-w64-crt|winpthreads|libgcc|libgomp',
    String.raw`libstdc\+\+-v3`,
    // `rustc/<commit>/library` in official builds, `rustc-1.63.0/library` in those of distributions.
    String.raw`rustc(?:-[\w.+-]+)?[\\/](?:[0-9a-f]{40}[\\/])?library`,
    // Zig's own library, beside its compiler.
    String.raw`zig[^\\/]*[\\/](?:[^\\/]+[\\/])?lib[\\/]std`,
  ].join('|')})[\\\\/]`,
  'i',
);

/** DLLs that are a runtime as a whole, where a program brings them along. The system's own lie in its directory. */
const runtimeModule: RegExp = new RegExp(
  `^(?:${[
    String.raw`lib(?:gcc_s|stdc\+\+|c\+\+(?:abi)?|unwind|winpthread|pthread|gomp|omp|ssp|atomic|uv)[\w-]*`,
    String.raw`(?:msvcp|msvcr|vcruntime|concrt|vccorlib|vcomp|vcamp|mfc)\d\w*|ucrtbased?|libiomp5md|uv`,
    String.raw`system\.private\.corelib`,
    'std-[0-9a-f]{16}',
  ].join('|')})\\.dll$`,
);

/** .NET's runtime and the DLLs that find and start it. */
const managedHost: RegExp = /^(?:coreclr|clr|clrjit|clrgc\w*|mscorwks|mscoreei|hostfxr|hostpolicy)\.dll$/;

/** Functions that were compiled with a runtime, by the beginnings that their authors keep to. */
const compiledFunction: RegExp = new RegExp(
  `^(?:${[
    // libgcc, and the C++ ABI: https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html
    String.raw`__emutls_\w+|emutls_(?:init|alloc|destroy)|__gthr(?:ead)?_\w+|_Unwind_\w+|__(?:de)?register_frame\w*`,
    String.raw`__cxa_\w+|__gxx_\w+|__cxxabiv1::.*|__mingw\w+|___w64_mingwthr_\w+`,
    // winpthreads
    String.raw`_{0,2}pthread_\w+|sem_(?:init|destroy|open|close|unlink|post|wait|trywait|timedwait|getvalue)`,
    // Microsoft's C and C++ runtimes
    String.raw`__(?:acrt|vcrt|scrt|crt|std)_\w+|_Init_thread_\w+|_(?:Mtx|Cnd|Thrd|Tss)_\w+|_CxxThrowException`,
    // OpenMP of GCC and of LLVM
    String.raw`GOMP_\w+|gomp_\w+|__kmpc?_\w+`,
    // libuv
    String.raw`uv__\w+|uv_(?:once|run|hrtime|uptime|queue_work|spawn|exepath|guess_handle|set_process_title|cpu_info)`,
    String.raw`uv_(?:(?:default_)?loop|fs|pipe|tcp|udp|tty|sem|thread|mutex|rwlock|cond|barrier|key|async|signal)(?:_\w+)?`,
    String.raw`uv_(?:timer|poll|process|read|write|listen|accept|stream|getaddrinfo|getnameinfo|random|os|dlopen)(?:_\w+)?`,
    // OpenSSL's functions that initialise it, and call no function of the program
    'CRYPTO_THREAD_run_once|OPENSSL_init_(?:crypto|ssl)|OSSL_LIB_CTX_get0_global_default',
    // Rust's standard library, below its generic surface
    String.raw`<?std::(?:sys(?:_common)?|os|backtrace_rs|backtrace)::(?!(?:\w+::)*(?:thread_local|once|lazy)\b).*`,
    String.raw`std::panicking::(?:default_hook|rust_panic|begin_panic|panic_count)\b.*|__rust_\w+|rust_\w*panic\w*`,
    'core::panicking::.*',
    // Zig's
    String.raw`(?:std\.)?Thread\.(?:spawn|WindowsThreadImpl)\b.*`,
  ].join('|')})$`,
);

/**
 * The namespaces of the standard libraries of C++ and of Rust; `core` and `alloc` only of Rust. No other code may
 * put functions into `std`.
 */
const standardNamespace: RegExp = /^(?:<(?:&?(?:mut )?[A-Z]\w* as )?)?(?:std|__gnu_cxx|__gnu_debug)::/;
const rustNamespace: RegExp = /^(?:<(?:&?(?:mut )?[A-Z]\w* as )?)?(?:core|alloc)::/;
const rustOnly: RegExp =
  /^<?std::(?:rt|sys|sys_common|panicking|panic|os::windows|thread::Builder)::|__rust_(?:begin|end)_short_backtrace/;

/** The frame proves that its module was written in Rust. */
export function isRust({ name, file }: NamedFrame): boolean {
  return (file !== undefined && /\.rs$/i.test(file)) || (name !== undefined && rustOnly.test(name));
}

/**
 * The kind of runtime code that a frame belongs to; `undefined` for the program's own, and for a nameless function that
 * nothing but its callers could tell.
 *
 * @param inRust see {@link isRust}
 */
export function runtimeCodeOf({ name, module, file }: NamedFrame, inRust: boolean): RuntimeCode | undefined {
  if (name !== undefined) {
    const plain = withoutGenerics(name);
    if (startupFunctions.has(plain) || initialiserCallers.has(plain) || beginOfRustProgram.test(plain))
      return 'startup';
  }
  if (managedHost.test(module)) return 'host';
  if (runtimeModule.test(module)) return 'compiled';
  if (name !== undefined && compiledFunction.test(name)) return 'compiled';
  if (name !== undefined && (standardNamespace.test(name) || (inRust && rustNamespace.test(name)))) return 'generic';
  return file !== undefined && runtimeSource.test(file) ? 'compiled' : undefined;
}

/** Without generic arguments: `std::rt::lang_start::<()>`, or `std::rt::lang_start<tuple$<> >` in a PDB. */
function withoutGenerics(name: string): string {
  // Nearly no name ends so, and the expression looks at each of them for long.
  return name.endsWith('>') ? name.replace(/(?:::)?<.*>$/, '') : name;
}

/**
 * Functions that call a function once in a process, and remember that it was called. Windows' own are among them:
 * https://learn.microsoft.com/windows/win32/sync/one-time-initialization
 */
const onceFunction: RegExp = new RegExp(
  `^(?:${[
    'InitOnceExecuteOnce|RtlRunOnceExecuteOnce|(?:__)?pthread_once|__gthread_once|__gthr_win32_once|uv_once',
    'CRYPTO_THREAD_run_once',
    String.raw`std::call_once\b.*|std::once_flag::.*|std::_Execute_once\w*|__std_execute_once\w*|std::__(?:1::)?__call_once\w*`,
    String.raw`<?std::(?:sync|sys|sys_common)::(?:\w+::)*(?:once|once_lock|lazy_lock|lazy)::.*|core::cell::(?:once|lazy)::.*`,
  ].join('|')})$`,
);

/** The function calls the one that it is given once in a process. */
export function callsOnce(name: string | undefined): boolean {
  return name !== undefined && onceFunction.test(name);
}

/** Functions of runtimes that call functions of the program: a nameless function beneath them may be the program's. */
const callsBack: RegExp = new RegExp(
  `^(?:${[
    String.raw`uv_run|uv__\w*(?:run|thread|work|process|invoke)\w*|uv_(?:queue_work|walk)|__mingw\w+|___w64_\w+`,
    String.raw`_Unwind_\w+|__cxa_(?:finalize|throw|call|vec_|end_catch)\w*|__gxx_\w+|_{0,2}pthread_(?:create|cleanup|exit)\w*`,
    String.raw`GOMP_\w+|gomp_\w+|__kmpc?_\w+|emutls_destroy|__crt_\w+|__acrt_\w+|_Thrd_\w+`,
  ].join('|')})$`,
);

/** A nameless function that the runtime's function called may be the program's. */
export function mayCallProgram(name: string | undefined): boolean {
  return name !== undefined && callsBack.test(name);
}
