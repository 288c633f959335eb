import { describe, expect, it } from 'vitest';
import { attributeOpening } from '../../../../src/analyze/attribution.ts';
import { mainBottom, stack } from '../evidence.ts';
import type { Opening } from './openings.ts';

const openings: readonly Opening[] = [
  {
    title: 'a thread of the system alone is the system’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'rpcrt4!NdrClientCall3',
      'ntdll!TppWorkerThread',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'system',
  },
  {
    title: '[ran] garbage above the thread’s beginning is no frame of the program',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'kernel32!BaseThreadInitThunk+0x9',
      'ntdll!RtlUserThreadStart+0x88',
      'app+0xc0000000',
      '?',
    ],
    actor: 'system',
  },
  {
    title: 'a callback of the system into the program is the program’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!onTimer',
      'ntdll!TppWorkerThread',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
  { title: 'an unwalkable stack says nothing', type: 'Event', frames: [], actor: 'unknown' },
  {
    title: 'a stack that was cut among frames of the system says nothing',
    type: 'Event',
    frames: Array.from({ length: 64 }, (_, index) => (index === 0 ? 'kernelbase!CreateEventW' : 'combase!Invoke')),
    actor: 'unknown',
  },
  {
    title: 'a full stack that comes to the beginning of its thread was not cut',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      ...Array.from({ length: 61 }, () => 'combase!Invoke'),
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'system',
  },
  {
    title: 'a cut stack with a frame of the program is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', ...Array.from({ length: 63 }, () => 'app!descend')],
    actor: 'program',
  },
  {
    title: '[ran] a short stack of the system may end before the beginning of its thread',
    type: 'File',
    frames: ['ntdll!RtlSetCurrentDirectory_U', 'ntdll!init_user_process_params', 'ntdll!loader_init'],
    actor: 'system',
  },
  {
    title: 'a constructor of a static object runs before main',
    type: 'Mutant',
    frames: [
      'kernelbase!CreateMutexW',
      'app!Registry::Registry',
      'app!_GLOBAL__sub_I_registry',
      'app!__do_global_ctors',
      'app!__main',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'an initialiser that the UCRT calls runs before main',
    type: 'Mutant',
    frames: [
      'kernelbase!CreateMutexW',
      "app!`dynamic initializer for 'lock''",
      'ucrtbase!_initterm',
      'app!__scrt_common_main_seh',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'start-up code itself runs before main',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'startup',
  },
  {
    title: 'a DLL attached by the loader runs before main',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'plugin!DllMainCRTStartup',
      'ntdll!LdrpCallInitRoutine',
      'ntdll!LdrInitializeThunk',
    ],
    actor: 'startup',
  },
  {
    title: 'a DLL told of a new thread counts as such, because no export of ntdll tells the two apart',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'plugin!DllMainCRTStartup',
      'ntdll!LdrpCallInitRoutine',
      'ntdll!LdrpInitializeThread',
      'ntdll!LdrInitializeThunk',
    ],
    actor: 'startup',
  },
  {
    title: 'a DLL that main loaded does not',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'plugin!DllMain',
      'ntdll!LdrpCallInitRoutine',
      'kernelbase!LoadLibraryW',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'a main that vanished by a tail call is not mistaken for start-up',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app!run',
      'app!__tmainCRTStartup',
      'app!mainCRTStartup',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
  {
    title: 'a program without symbols has no main, and none is missed',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventW',
      'app+0x13ae',
      'app+0x14e6',
      'kernel32!BaseThreadInitThunk',
      'ntdll!RtlUserThreadStart',
    ],
    actor: 'program',
  },
];

describe('whose a handle is that a thread opened at its start, or the system in a thread', () => {
  it.each(openings)('$title', ({ type, name, frames, actor }) => {
    expect(attributeOpening(stack(...frames), { type, ...(name === undefined ? {} : { name }) })).toBe(actor);
  });
});
