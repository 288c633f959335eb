// Handles that Node.js opens while it starts, and that a killed Node.js does not close.
import { describe, expect, it } from 'vitest';
import { attributeOpening, runtimeOpener } from '../../../../src/analyze/attribution.ts';
import type { Stack } from '../../../../src/model.ts';
import { stack } from '../evidence.ts';

const bottom = ['app!node::Start', 'app+0x12b1ec', 'kernel32!BaseThreadInitThunk', 'ntdll!RtlUserThreadStart'];
const byLibuv = ['kernelbase!CreateThread', 'app+0x1d133e2', 'app!uv_thread_create_ex', 'app!uv_thread_create'];
/** [ran, Node.js 22] */
const nameless = ['app+0x2f69db', 'app+0x2f643c', 'app+0x3cb12e', 'app+0x3cd857', 'app+0x3cf91b'];

describe('whose a thread is that libuv started for Node.js', () => {
  const startedBy = (...frames: readonly string[]): Stack => stack(...byLibuv, ...frames, ...bottom);

  it.each<[title: string, opened: Stack, actor: 'runtime' | 'program']>([
    ['[ran] Node.js’s where it starts its platform', startedBy(...nameless), 'runtime'],
    [
      'Node.js’s where its functions have names',
      startedBy(
        'app!node::WorkerThreadsTaskRunner::DelayedTaskScheduler::Start',
        'app!std::make_unique<node::WorkerThreadsTaskRunner>',
        'app!node::NodePlatform::NodePlatform',
        'app!node::InitializeOncePerProcessInternal',
      ),
      'runtime',
    ],
    [
      '[ran] the program’s where a script asks for it',
      startedBy('app+0x18d5bf', '?+0xe0f82464', 'app!v8::Function::Call', 'app!node::LoadEnvironment', 'app+0x3cfd93'),
      'program',
    ],
    ['the program’s beneath code that V8 made', startedBy('app+0x18d5bf', '?+0xe0f82464', 'app+0x3cfd93'), 'program'],
    ['the program’s where an add-on asks for it', startedBy('plugin+0x1234', ...nameless), 'program'],
    ['the program’s where an add-on is in between', startedBy('app+0x18d5bf', 'plugin+0x1234', ...nameless), 'program'],
    ['the program’s while a script runs', startedBy('app+0x18d5bf', 'app!node::LoadEnvironment'), 'program'],
    ['the program’s in a callback', startedBy('app+0x18d5bf', 'app!uv_run', 'app+0x3cfd93'), 'program'],
    ['the program’s in a function of its own', startedBy('app!start_worker', ...nameless), 'program'],
    ['the program’s where nothing is known of Node.js', stack(...byLibuv, ...nameless, ...bottom.slice(1)), 'program'],
    [
      'the program’s in a worker of a script',
      stack(...byLibuv.slice(0, 3), 'app+0x18d5bf', ...bottom.slice(2)),
      'program',
    ],
    [
      'the program’s where libuv has no part in it',
      stack('kernelbase!CreateThread', ...nameless, ...bottom),
      'program',
    ],
  ])('is %s', (_, opened, actor) => {
    expect(attributeOpening(opened, { type: 'Thread' })).toBe(actor);
  });

  it('is named by the function that starts Node.js', () => {
    expect(runtimeOpener(startedBy(...nameless), { type: 'Thread' })?.frame.function).toBe('node::Start');
  });

  it('is not asked of handles of other types', () => {
    const opened = stack('kernel32!CreateSemaphoreA', 'app!uv_sem_init', ...nameless, ...bottom);
    expect(attributeOpening(opened, { type: 'Semaphore' })).toBe('program');
  });
});

describe('whose a semaphore is that was opened beneath OpenSSL’s run-once', () => {
  const opening = [
    'kernel32!CreateSemaphoreA',
    'app+0x565829',
    'app+0x5c5dcc',
    'app+0x5daf62',
    'app!CRYPTO_THREAD_run_once',
  ];
  const initialising = [
    ...['app!OSSL_LIB_CTX_get0_global_default', 'app+0x6771d5', 'app+0x5d65e0', 'app!CRYPTO_THREAD_run_once'],
    'app!OPENSSL_init_crypto',
  ];

  it.each<[title: string, opened: Stack, actor: 'runtime' | 'program']>([
    ['[ran] OpenSSL’s while it is initialised', stack(...opening, ...initialising, ...nameless, ...bottom), 'runtime'],
    ['OpenSSL’s where the program initialises it', stack(...opening, ...initialising, 'app!main'), 'runtime'],
    ['the program’s where a function of it asks for that', stack(...opening, 'app!open_pool', 'app!main'), 'program'],
    ['the program’s where one without a name does', stack(...opening, 'app+0x1234', 'app+0x2345'), 'program'],
    [
      'the program’s where it has a function of its own called',
      stack('kernel32!CreateSemaphoreA', 'app!make_lock', 'app!CRYPTO_THREAD_run_once', 'app!open_pool', 'app!main'),
      'program',
    ],
  ])('is %s', (_, opened, actor) => {
    expect(attributeOpening(opened, { type: 'Semaphore' })).toBe(actor);
  });

  it('is said to be opened once', () => {
    const opener = runtimeOpener(stack(...opening, ...initialising, 'app!main'), { type: 'Semaphore' });
    expect([opener?.frame.function, opener?.isOnce]).toEqual(['CRYPTO_THREAD_run_once', true]);
  });
});
