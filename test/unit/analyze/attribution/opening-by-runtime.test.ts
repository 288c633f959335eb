import { describe, expect, it } from 'vitest';
import { attributeOpening } from '../../../../src/analyze/attribution.ts';
import { dissect } from '../../../../src/analyze/stacks.ts';
import { mainBottom, stack } from '../evidence.ts';
import type { Opening } from './openings.ts';

/** The way to the mutex of emulated thread-local storage, for GCC's two kinds of threads. */
const emulatedStorage = {
  win32: ['kernelbase!CreateSemaphoreW', 'app+0xc271', 'app!__emutls_get_address'],
  posix: [
    ...['kernel32!CreateSemaphoreA', 'app!pthread_cond_init', 'app!pthread_rwlock_init', 'app!pthread_rwlock_wrlock'],
    ...['app!pthread_key_create', 'app+0xbe45', 'app!pthread_once', 'app!__emutls_get_address'],
  ],
};

/** The frames around the main function of a Rust program, and its own. */
const rustBottom = [
  'app!app::main @src\\main.rs:9',
  'app!core::ops::function::FnOnce::call_once',
  'app!std::sys_common::backtrace::__rust_begin_short_backtrace',
  'app!std::rt::lang_start::{{closure}}',
  'app!std::panicking::try::do_call',
  'app!std::rt::lang_start_internal',
  ...mainBottom,
];

const openings: readonly Opening[] = [
  {
    title: '[ran] GCC’s thread-local storage with Windows’ threads, when a stream is flushed at exit',
    type: 'Semaphore',
    frames: [
      ...emulatedStorage.win32,
      ...['app!std::uncaught_exception', 'app!std::ostream::flush', 'app!std::ios_base::Init::~Init', 'app!__tcf_0'],
      ...['msvcrt!_cexit', 'msvcrt!exit', ...mainBottom.slice(1)],
    ],
    actor: 'runtime',
  },
  {
    title: '[ran] GCC’s thread-local storage with winpthreads, when an exception is thrown',
    type: 'Semaphore',
    frames: [...emulatedStorage.posix, 'app!__cxa_throw', 'app!refuse', ...mainBottom],
    actor: 'runtime',
  },
  {
    title: '[ran] GCC’s guard of an object that is made at its first use',
    type: 'Semaphore',
    frames: [
      ...['kernelbase!CreateSemaphoreW', 'app!__gthr_win32_recursive_mutex_init_function', 'app+0x12b48'],
      ...['app!__gthr_win32_once', 'app!__cxa_guard_acquire', 'app!instance', ...mainBottom],
    ],
    actor: 'runtime',
  },
  {
    title: 'the object that the program makes at its first use is the program’s',
    type: 'Semaphore',
    frames: ['kernelbase!CreateSemaphoreW', 'app!Singleton::Singleton', 'app!instance', ...mainBottom],
    actor: 'program',
  },
  ...(
    ['app!pthread_once', 'app!std::call_once<void (&)()>', 'kernelbase!InitOnceExecuteOnce', 'app!uv_once'] as const
  ).flatMap((once) => [
    {
      title: `the program’s own function beneath ${once} is the program’s`,
      type: 'Event',
      frames: ['kernelbase!CreateEventW', 'app!open_gate', once, ...mainBottom],
      actor: 'program' as const,
    },
    {
      title: `a nameless function that a function of the program passed to ${once} is the program’s`,
      type: 'Event',
      frames: ['kernelbase!CreateEventW', 'app+0x1234', once, ...mainBottom],
      actor: 'program' as const,
    },
  ]),
  {
    title: 'a function that was inlined into std::call_once is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'app!std::call_once<run()::<lambda()> >', 'app!run', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a thread that pthread_create started is the program’s',
    type: 'Thread',
    frames: ['msvcrt!_beginthreadex', 'app!pthread_create', 'app!start_worker', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a thread that std::thread started is the program’s',
    type: 'Thread',
    frames: [
      ...['msvcrt!_beginthreadex', 'app!pthread_create', 'app!std::thread::_M_start_thread'],
      ...['app!std::thread::thread<void (&)()>', 'app!start_worker', ...mainBottom],
    ],
    actor: 'program',
  },
  {
    title: 'a pool of threads that OpenMP keeps is its own',
    type: 'Thread',
    frames: ['msvcrt!_beginthreadex', 'app!pthread_create', 'app!GOMP_parallel', 'app!sum_up', ...mainBottom],
    actor: 'runtime',
  },
  {
    title: '[ran] winpthreads’ own handle of a thread that asked for itself is its own',
    type: 'Thread',
    frames: ['kernelbase!DuplicateHandle', 'app!__pthread_self_lite', 'app!pthread_self', 'app!run', ...mainBottom],
    actor: 'runtime',
  },
  {
    title: 'a lock that is initialised at its first use is the runtime’s',
    type: 'Semaphore',
    frames: [
      ...['kernel32!CreateSemaphoreA', 'app!pthread_cond_init', 'app!pthread_rwlock_init'],
      ...['app!pthread_rwlock_rdlock', 'app!look_up', ...mainBottom],
    ],
    actor: 'runtime',
  },
  ...['pthread_rwlock_init', 'pthread_cond_init', 'pthread_barrier_init', 'sem_init', 'sem_open'].map(
    (name): Opening => ({
      title: `what the program asked ${name} for is the program’s`,
      type: 'Semaphore',
      frames: ['kernel32!CreateSemaphoreA', `app!${name}`, 'app!set_up', ...mainBottom],
      actor: 'program',
    }),
  ),
  {
    title: '[ran] a file of a C++ stream is the program’s',
    type: 'File',
    frames: [
      ...['kernelbase!CreateFileW', 'msvcrt!fopen', 'app!std::__basic_file<char>::open'],
      ...['app!std::basic_ifstream<char, std::char_traits<char> >::open', 'app!read_settings', ...mainBottom],
    ],
    actor: 'program',
  },
  {
    title: '[ran] libuv’s lock of the console, made once, is libuv’s',
    type: 'Semaphore',
    frames: [
      ...['kernel32!CreateSemaphoreA', 'app!uv_sem_init', 'app+0x479404', 'app+0x4961b0', 'app+0x485346'],
      ...['ntdll!RtlRunOnceExecuteOnce', 'kernelbase!InitOnceExecuteOnce', 'app!uv_once', 'app!uv_hrtime'],
      ...['app+0x112c89', ...mainBottom],
    ],
    actor: 'runtime',
  },
  {
    title: '[ran] libuv’s job of children, made once through Windows’ own once, is libuv’s',
    type: 'Job',
    frames: [
      ...['kernel32!CreateJobObjectW', 'app+0x483600', 'ntdll!RtlRunOnceExecuteOnce'],
      ...['kernelbase!InitOnceExecuteOnce', 'app!uv_spawn', 'app!start_child', ...mainBottom],
    ],
    actor: 'runtime',
  },
  {
    title: '[ran] the threads of libuv’s pool, which the first work starts once, are libuv’s',
    type: 'Thread',
    frames: [
      ...['kernelbase!CreateThread', 'app+0x1d133e2', 'app!uv_thread_create_ex', 'app+0x49b233', 'app+0x485346'],
      ...['ntdll!RtlRunOnceExecuteOnce', 'kernelbase!InitOnceExecuteOnce', 'app!uv_once', 'app!uv_queue_work'],
      ...['app!napi_queue_async_work', 'app+0x24c0', ...mainBottom],
    ],
    actor: 'runtime',
  },
  {
    title: 'even a file that libuv opens once is libuv’s',
    type: 'File',
    frames: [
      ...['kernelbase!CreateFileW', 'app+0x2298c', 'ntdll!RtlRunOnceExecuteOnce', 'kernelbase!InitOnceExecuteOnce'],
      ...['app!uv_tty_init', 'app!main', ...mainBottom],
    ],
    actor: 'runtime',
  },
  {
    title: 'a file that the program opens through libuv is the program’s',
    type: 'File',
    frames: ['kernelbase!CreateFileW', 'app+0x2298c', 'app!uv_fs_open', 'app!read_settings', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a nameless callback of libuv’s loop is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'app+0x2298c', 'app!uv_run', 'app!main', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a loop of the program’s own is the program’s',
    type: 'IoCompletion',
    frames: ['kernelbase!CreateIoCompletionPort', 'app!uv_loop_init', 'app!start_service', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] libuv’s loop of the process is libuv’s',
    type: 'IoCompletion',
    frames: [
      ...['kernelbase!CreateIoCompletionPort', 'app!uv_loop_init', 'app!uv_default_loop', 'app!start_service'],
      ...mainBottom,
    ],
    actor: 'runtime',
  },
  {
    title: 'a function of the program that only begins like libuv’s is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'app!uv_map_open', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] the lock that Rust’s backtraces take of dbghelp is the runtime’s',
    type: 'Mutant',
    frames: [
      ...['kernelbase!CreateMutexA', 'app!std::backtrace_rs::dbghelp::init', 'app!std::sys_common::backtrace::_print'],
      ...[
        'app!std::panicking::default_hook',
        'app!std::panicking::rust_panic_with_hook',
        'app!core::panicking::panic_fmt',
      ],
      ...['app!app::fail', ...rustBottom],
    ],
    actor: 'runtime',
  },
  {
    title: '[ran] the program’s file that Rust’s backtraces keep is the runtime’s',
    type: 'File',
    frames: [
      ...['kernelbase!DuplicateHandle', 'app!std::os::windows::io::handle::BorrowedHandle::duplicate'],
      ...['app!std::fs::File::try_clone', 'app!std::backtrace_rs::symbolize::gimli::mmap::Mmap::map'],
      ...['app!std::panicking::default_hook', 'app!app::fail', ...rustBottom],
    ],
    actor: 'runtime',
  },
  {
    title: 'a file that Rust’s standard library opened for the program is the program’s',
    type: 'File',
    frames: [
      'kernelbase!CreateFileW',
      'app!std::sys::windows::fs::File::open',
      'app!std::fs::File::open',
      ...rustBottom,
    ],
    actor: 'program',
  },
  {
    title: 'a thread whose owner was forgotten is the program’s',
    type: 'Thread',
    frames: [
      ...['kernelbase!CreateThread', 'app!std::sys::pal::windows::thread::Thread::new', 'app!std::thread::spawn'],
      ...rustBottom,
    ],
    actor: 'program',
  },
  {
    title: 'the thread of a child belongs to its owner, which the process stands for',
    type: 'Thread',
    frames: [
      ...['kernelbase!CreateProcessW', 'app!std::sys::windows::process::Command::spawn'],
      ...['app!std::process::Command::spawn', ...rustBottom],
    ],
    actor: 'runtime',
  },
  {
    title: 'a copy that the program made of its own handle is the program’s',
    type: 'Event',
    frames: [
      ...['kernelbase!DuplicateHandle', 'app!std::os::windows::io::handle::BorrowedHandle::duplicate'],
      ...['app!std::os::windows::io::handle::OwnedHandle::try_clone', 'app!app::share', ...rustBottom],
    ],
    actor: 'program',
  },
  {
    title: 'a main that was inlined into Rust’s start is not mistaken for it',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', ...rustBottom.slice(2)],
    actor: 'program',
  },
  {
    title: 'a namespace of C++ that is called like Rust’s core is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'app!core::open_gate', ...mainBottom],
    actor: 'program',
  },
];

describe('whose a handle is that a runtime of a language opened', () => {
  it.each(openings)('$title', ({ type, frames, actor }) => {
    expect(attributeOpening(stack(...frames), { type })).toBe(actor);
  });

  it.each([
    ['libwinpthread-1.dll', 'pthread_rwlock_rdlock'],
    ['libgcc_s_seh-1.dll', undefined],
    ['libstdc++-6.dll', undefined],
    ['coreclr.dll', undefined],
    ['hostfxr.dll', 'hostfxr_main'],
    ['uv.dll', 'uv_mutex_lock'],
    ['msvcp140.dll', '_Mtx_init'],
  ])('%s’s are its own, when the program brings that DLL along', (module, name) => {
    const inDll = [undefined, name].map((each) => ({ module, offset: 0x40, ...(each && { function: each }) }));
    const frames = [...stack('kernelbase!CreateEventW'), ...inDll, ...stack('app!work', ...mainBottom)];
    expect(attributeOpening(frames, { type: 'Event' })).toBe('runtime');
    expect(dissect(frames).site?.function).toBe('work');
  });
});

describe('whose a socket is that libuv opened for a connection', () => {
  const listening = ['ws2_32!WSASocketW', 'app+0x47f2a7', 'app+0x47f17e', 'app!uv_listen', 'app!serve', ...mainBottom];
  const accepting = ['ws2_32!WSASocketW', 'app!uv__tcp_queue_accept', 'app!uv_accept', 'app!take', ...mainBottom];
  const connecting = ['ws2_32!WSASocketW', 'app+0x47fa93', 'app!uv_tcp_connect', 'app!call', ...mainBottom];

  it.each([
    { title: 'libuv’s where none has come since uv_listen', frames: listening, state: 'unbound', actor: 'runtime' },
    { title: 'libuv’s where none has come since uv_accept', frames: accepting, state: 'unbound', actor: 'runtime' },
    { title: 'the program’s where it is connected', frames: listening, state: 'connected', actor: 'program' },
    { title: 'the program’s where it is to connect', frames: connecting, state: 'unbound', actor: 'program' },
  ] as const)('is $title', ({ frames, state, actor }) => {
    expect(attributeOpening(stack(...frames), { type: 'Socket', socket: { state } })).toBe(actor);
  });
});

describe('whose a handle is that .NET opened', () => {
  /** Machine code of a single-file program, as the symbolizer marks it. */
  const host = ['0xb268b', '0x17fc4f'].map((place) => ({
    module: 'azmcp.exe',
    offset: Number(place),
    runtime: true as const,
  }));

  it.each(['Event', 'File', 'Section', 'Thread'])(
    'an object of type %s that its own machine code opened is its own',
    (type) => {
      const frames = [...stack('kernelbase!DuplicateHandle'), ...host, ...stack('kernel32!BaseThreadInitThunk')];
      expect(attributeOpening(frames, { type })).toBe('runtime');
      expect(attributeOpening([...frames.slice(0, 2), ...stack('?+0x7ff000'), ...frames.slice(2)], { type })).toBe(
        'runtime',
      );
    },
  );

  it('a file that code of the program opened, which was made at run time, is the program’s', () => {
    const frames = [
      ...stack('kernelbase!CreateFileW', '?+0x7ff000'),
      ...host,
      ...stack('kernel32!BaseThreadInitThunk'),
    ];
    expect(attributeOpening(frames, { type: 'File' })).toBe('program');
  });
});

describe('the site of a call through Rust’s standard library', () => {
  it.each([
    ['std::sys::windows::fs::File::open', 'std::fs::File::open'],
    ['<std::os::windows::io::handle::OwnedHandle as core::ops::drop::Drop>::drop', 'core::mem::drop'],
    ['core::ptr::drop_in_place<std::fs::File>', '<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop'],
  ])('is the program’s function around %s', (inner, outer) => {
    const frames = stack('kernelbase!CreateFileW', `app!${inner}`, `app!${outer}`, 'app!app::work', ...rustBottom);
    expect(dissect(frames).site?.function).toBe('app::work');
  });
});
