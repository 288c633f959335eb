// The names of runtimes' functions: those that are known, and the program's own that only look like them.
import { describe, expect, it } from 'vitest';

import { preparesConnection, runtimeGives, servesItself } from '../../../../src/analyze/runtimes/calls.ts';
import {
  beginsRustProgram,
  callsOnce,
  isRust,
  mayCallProgram,
  type RuntimeCode,
  runtimeCodeOf,
} from '../../../../src/analyze/runtimes/code.ts';

describe('a function of a runtime', () => {
  it.each<[name: string, type: string, gives: boolean]>([
    ['pthread_create', 'Thread', true],
    ['__gthread_create', 'Thread', true],
    ['my_pthread_create', 'Thread', false],
    ['pthread_create_all', 'Thread', false],
    ['uv_thread_create_ex', 'Thread', true],
    ['uv_thread_create_exe', 'Thread', false],
    ['_Thrd_start', 'Thread', true],
    ['_beginthread', 'Thread', true],
    ['_beginthreadex', 'Thread', true],
    ['my_beginthread', 'Thread', false],
    ['std::thread::_M_start_thread', 'Thread', true],
    ['Thread.spawn', 'Thread', true],
    ['std::sys::pal::windows::thread::Thread::new', 'Thread', true],
    ['my::std::sys::thread::Thread::new', 'Thread', false],
    ['sem_init', 'Semaphore', true],
    ['my_sem_init', 'Semaphore', false],
    ['sem_initialise', 'Semaphore', false],
    ['uv_mutex_init_recursive', 'Event', true],
    ['pthread_mutex_init', 'Mutant', true],
    ['pthread_mutex_initialise', 'Event', false],
    ['my_pthread_mutex_init', 'Event', false],
    ['pthread_mutex_init', 'Timer', false],
    ['uv_loop_init', 'IoCompletion', true],
    ['uv_loop_initialise', 'IoCompletion', false],
    ['my_uv_loop_init', 'IoCompletion', false],
    ['std::os::windows::io::handle::OwnedHandle::try_clone', 'Timer', true],
    ['my::std::sys::handle::duplicate', 'Timer', false],
    ['std::sys::handle::duplicate_all', 'Timer', false],
  ])('%s gives its caller a %s: %s', (name, type, gives) => {
    expect(runtimeGives(name, { type })).toBe(gives);
  });

  it.each([
    ...['Event', 'Semaphore', 'Mutant', 'KeyedEvent', 'Timer', 'IRTimer', 'Thread', 'Section', 'Job', 'IoCompletion'],
    ...['WaitCompletionPacket', 'TpWorkerFactory', 'EtwRegistration', 'Directory'],
  ])('gives its caller no %s, unless it is known to', (type) => {
    expect(runtimeGives('std::ostream::flush', { type })).toBe(false);
    expect(runtimeGives(undefined, { type })).toBe(false);
  });

  it.each(['File', 'Socket', 'Process', 'Key'])('gives its caller a %s, whatever it is', (type) => {
    expect(runtimeGives('std::ostream::flush', { type })).toBe(true);
    expect(runtimeGives(undefined, { type })).toBe(true);
  });

  it.each([
    ['__emutls_get_address', true],
    ['my__emutls_get_address', false],
    ['__emutls_get::address', false],
    ['std::backtrace_rs::symbolize::resolve', true],
    ['<std::sys_common::backtrace::DisplayBacktrace as core::fmt::Display>::fmt', true],
    ['std::panicking::default_hook', true],
    ['std::panicking::try', false],
    ['std::panicking::catch_unwind', false],
    [undefined, false],
  ])('%s works for itself alone: %s', (name, serves) => {
    expect(servesItself(name)).toBe(serves);
  });

  it.each([
    ['uv_listen', true],
    ['uv__tcp_queue_accept', true],
    ['my_uv_listen', false],
    ['uv_listen_all', false],
    [undefined, false],
  ])('%s makes a socket for the next connection: %s', (name, prepares) => {
    expect(preparesConnection(name, { type: 'Socket', socket: { state: 'unbound' } })).toBe(prepares);
    expect(preparesConnection(name, { type: 'Socket' })).toBe(false);
  });

  it.each([
    ['uv_once', true],
    ['pthread_once', true],
    ['RtlRunOnceExecuteOnce', true],
    ['std::call_once<void (&)()>', true],
    ['CRYPTO_THREAD_run_once', true],
    ['my_uv_once', false],
    ['uv_once_more', false],
    ['CRYPTO_THREAD_run_once_more', false],
    [undefined, false],
  ])('%s calls another once: %s', (name, once) => {
    expect(callsOnce(name)).toBe(once);
  });

  it.each([
    ['uv_run', true],
    ['pthread_create_wrapper', true],
    ['GOMP_parallel', true],
    ['uv_runner', false],
    ['my_uv_run', false],
    [undefined, false],
  ])('%s may call the program: %s', (name, may) => {
    expect(mayCallProgram(name)).toBe(may);
  });
});

describe('a frame', () => {
  const frame = (name?: string, module = 'app.exe', file?: string) => ({ name, module, file });

  it.each<[name: string, code: RuntimeCode | undefined]>([
    ...[
      ...['mainCRTStartup', 'wmainCRTStartup', 'WinMainCRTStartup', 'wWinMainCRTStartup', '__tmainCRTStartup'],
      ...['__scrt_common_main', '__scrt_common_main_seh', 'invoke_main', '_start', 'pre_c_init', 'pre_cpp_init'],
      ...['_DllMainCRTStartup', '__DllMainCRTStartup', 'DllMainCRTStartup', 'DllEntryPoint', '_CRT_INIT'],
      ...['dllmain_dispatch', 'dllmain_raw', 'dllmain_crt_dispatch', 'dllmain_crt_process_attach', '_initterm'],
      ...['std::rt::lang_start', 'std::rt::lang_start::<()>', 'std::rt::lang_start<tuple$<> >'],
      ...['std::rt::lang_start_internal', '__main', '__do_global_ctors', '_GLOBAL__sub_I'],
      ...['__static_initialization_and_destruction_0', 'std::sys_common::backtrace::__rust_begin_short_backtrace'],
    ].map((name): [string, RuntimeCode] => [name, 'startup']),
    ['__rust_begin_short_backtraces', 'compiled'],
    ['main', undefined],
    ['my_mainCRTStartup', undefined],
    ['__cxa_guard_acquire', 'compiled'],
    ['my__cxa_guard_acquire', undefined],
    ['sem_wait', 'compiled'],
    ['sem_waiter', undefined],
    ['uv_fs_open', 'compiled'],
    ['uv_map_open', undefined],
    ['OPENSSL_init_crypto', 'compiled'],
    ['OPENSSL_init_app', undefined],
    ['OSSL_LIB_CTX_get0_global_default', 'compiled'],
    ['OSSL_LIB_CTX_new', undefined],
    ['_Mtx_lock', 'compiled'],
    ['core::panicking::panic_fmt', 'compiled'],
    ['std::sort<int*>', 'generic'],
    ['my::std::sort', undefined],
    ['__gnu_cxx::new_allocator::allocate', 'generic'],
    ['<T as std::io::Read>::read', 'generic'],
  ])('of %s is %s', (name, code) => {
    expect(runtimeCodeOf(frame(name), false)).toBe(code);
  });

  it.each<[name: string, code: RuntimeCode | undefined]>([
    ['core::ops::function::FnOnce::call_once', 'generic'],
    ['<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop', 'generic'],
    ['<T as alloc::string::ToString>::to_string', 'generic'],
    ['my::core::open', undefined],
  ])('of %s is %s in a module of Rust, and the program’s in any other', (name, code) => {
    expect(runtimeCodeOf(frame(name), true)).toBe(code);
    expect(runtimeCodeOf(frame(name), false)).toBeUndefined();
  });

  it.each<[module: string, code: RuntimeCode | undefined]>([
    ['coreclr.dll', 'host'],
    ['hostpolicy.dll', 'host'],
    ['mycoreclr.dll', undefined],
    ['coreclr.dll.exe', undefined],
    ['libstdc++-6.dll', 'compiled'],
    ['msvcp140d.dll', 'compiled'],
    ['std-0123456789abcdef.dll', 'compiled'],
    ['std-0123.dll', undefined],
    ['mylibgcc_s.dll', undefined],
    ['libgcc_s_seh-1.dll.exe', undefined],
  ])('of %s is %s, with and without a name', (module, code) => {
    expect(runtimeCodeOf(frame('work', module), false)).toBe(code);
    expect(runtimeCodeOf(frame(undefined, module), false)).toBe(code);
  });

  it.each<[file: string | undefined, code: RuntimeCode | undefined]>([
    ['D:\\a\\_work\\1\\s\\src\\vctools\\crt\\vcruntime\\src\\heap\\new.cpp', 'compiled'],
    ['minkernel\\crts\\ucrt\\src\\appcrt\\stdio\\fopen.cpp', 'compiled'],
    ['/build/mingw-w64/mingw-w64-crt/crt/crtexe.c', 'compiled'],
    ['/BUILD/LIBGCC/emutls.c', 'compiled'],
    ['C:\\zig-0.13\\lib\\std\\Thread.zig', 'compiled'],
    ['/rustc/0123456789012345678901234567890123456789/library/std/src/fs.rs', 'compiled'],
    ['C:\\src\\mylibgcc\\a.c', undefined],
    ['C:\\src\\libgcc-notes\\a.c', undefined],
    [undefined, undefined],
  ])('with the source %s is %s', (file, code) => {
    expect(runtimeCodeOf(frame('work', 'app.exe', file), false)).toBe(code);
  });

  it.each([
    ['a source of Rust', frame('work', 'app.exe', 'src\\main.rs'), true],
    ['a source of Rust in capitals', frame(undefined, 'app.exe', 'MAIN.RS'), true],
    ['a source that only begins so', frame('work', 'app.exe', 'main.rs.c'), false],
    ['a function of std::rt', frame('std::rt::init'), true],
    ['a function of C++’s std', frame('std::vector::at'), false],
    ['a function with such a name within', frame('my::std::rt::init'), false],
    ['the mark of a beginning', frame('x::__rust_begin_short_backtrace'), true],
    ['nothing', frame(), false],
  ])('proves that its module is one of Rust, or does not: %s', (_title, each, is) => {
    expect(isRust(each)).toBe(is);
  });

  it.each([
    ['std::sys::backtrace::__rust_begin_short_backtrace', true],
    ['__rust_begin_short_backtrace::<fn(), ()>', true],
    ['__rust_begin_short_backtraces', false],
    ['my__rust_begin_short_backtrace', false],
    [undefined, false],
  ])('of %s begins the program: %s', (name, begins) => {
    expect(beginsRustProgram(name)).toBe(begins);
  });
});
