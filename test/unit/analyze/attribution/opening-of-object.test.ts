import { describe, expect, it } from 'vitest';
import { attributeOpening } from '../../../../src/analyze/attribution.ts';
import { mainBottom, stack } from '../evidence.ts';
import type { Opening } from './openings.ts';

const openings: readonly Opening[] = [
  {
    title: '[ran] a search of the C runtime belongs to its caller, who has _findclose',
    type: 'File',
    frames: ['kernelbase!FindFirstFileA', 'msvcrt!_findfirst64', 'app!begin_search', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] an unnamed event of CreateEventW is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventExW+0x152', 'kernelbase!CreateEventW+0x35', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a named event is the program’s',
    type: 'Event',
    frames: [
      'kernelbase!CreateEventExW+0x152',
      'kernelbase!CreateEventExA+0x5a',
      'kernelbase!CreateEventA+0x35',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the directory of named objects that CreateEventA opened on the way is the system’s',
    type: 'Directory',
    frames: [
      'kernelbase!BaseGetNamedObjectDirectory+0xaa',
      'kernelbase!CreateEventExW+0x108',
      'kernelbase!CreateEventA+0x35',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'an event through an API set is the program’s',
    type: 'Event',
    frames: ['kernelbase!CreateEventW', 'api-ms-win-core-synch-l1-1-0!CreateEventW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a system call made by the program itself is the program’s',
    type: 'File',
    frames: mainBottom,
    actor: 'program',
  },
  {
    title: 'a nameless function of kernelbase is taken to serve the program',
    type: 'File',
    frames: ['kernelbase+0x5120', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a name 64 KiB away is no name',
    type: 'File',
    frames: ['kernelbase!GetLastError+0x23456', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a nameless function of another system DLL is not',
    type: 'File',
    frames: ['kernelbase!CreateFileW', 'dxcore+0x5120', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a file of CreateFileA is the program’s',
    type: 'File',
    frames: ['kernelbase!CreateFileW+0x3e4', 'kernelbase!CreateFileA+0x66', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a file of fopen is the program’s',
    type: 'File',
    frames: [
      'kernelbase!CreateFileW+0x3e4',
      'msvcrt!_pipe+0x5f9',
      'msvcrt!_wsopen+0x2c',
      'msvcrt!_wfsopen+0x69',
      'msvcrt!_fsopen+0x45',
      'msvcrt!fopen+0xf',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] a descriptor of _dup is the program’s',
    type: 'File',
    frames: ['kernelbase!DuplicateHandle+0x39', 'msvcrt!_dup2+0x20c', 'msvcrt!_dup+0x23', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a file of std::ofstream is the program’s: the C++ runtime only passes the call on',
    type: 'File',
    frames: [
      'kernelbase!CreateFileW',
      'ucrtbase!_wfsopen',
      'msvcp140!std::_Fiopen',
      'msvcp140!std::basic_filebuf<char>::open',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the pipe of _popen is the program’s',
    type: 'File',
    frames: [
      'kernelbase!CreatePipe+0x17e',
      'msvcrt!_pipe+0x4b',
      'msvcrt!_wpopen+0xf2',
      'msvcrt!_popen+0x57',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'the thread of _beginthread closes its own handle',
    type: 'Thread',
    frames: ['kernelbase!CreateThread', 'msvcrt!_beginthread', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the thread of _beginthreadex is the program’s',
    type: 'Thread',
    frames: [
      'ntdll!RtlCreateUserThread+0x12c',
      'kernelbase!CreateRemoteThreadEx+0xa5',
      'kernelbase!CreateThread+0x41',
      'msvcrt!_beginthreadex+0x7b',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: '[ran] the process of CreateProcessA is the program’s',
    type: 'Process',
    frames: [
      'kernelbase!IsInternetESCEnabled+0x39c',
      'kernelbase!CreateProcessInternalW+0x88b',
      'kernelbase!CreateProcessA+0x74',
      ...mainBottom,
    ],
    actor: 'program',
  },
  {
    title: 'a section that CreateProcessW kept is the system’s',
    type: 'Section',
    frames: ['kernelbase!CreateProcessInternalW', 'kernelbase!CreateProcessW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'a section that the loader holds is the system’s',
    type: 'Section',
    frames: ['ntdll!LdrLoadDll', 'kernelbase!LoadLibraryExW', 'kernelbase!LoadLibraryA', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the event of a timer queue is the system’s',
    type: 'Event',
    frames: [
      'ntdll!RtlCreateTimerQueue+0x7b',
      'ntdll!RtlCreateTimer+0x142',
      'kernelbase!CreateTimerQueueTimer+0x37',
      ...mainBottom,
    ],
    actor: 'system',
  },
  {
    title: 'the worker factory of a thread pool is the system’s',
    type: 'TpWorkerFactory',
    frames: ['ntdll!TpAllocPool', 'kernelbase!CreateThreadpool', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] the directory that SetCurrentDirectoryA keeps open is the system’s',
    type: 'File',
    frames: ['ntdll!RtlSetCurrentDirectory_U+0xb1', 'kernelbase!SetCurrentDirectoryA+0x35', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'the semaphore of a contended critical section is the system’s',
    type: 'Semaphore',
    frames: ['ntdll!RtlEnterCriticalSection', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a section of CreateToolhelp32Snapshot is the program’s',
    type: 'Section',
    frames: ['kernelbase!CreateFileMappingW+0x11b', 'kernel32!CreateToolhelp32Snapshot+0x452', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] a search of FindFirstFileA is the program’s',
    type: 'File',
    frames: ['kernelbase!FindFirstFileExW+0x350', 'kernelbase!FindFirstFileA+0x2a', ...mainBottom],
    actor: 'program',
  },
  {
    title: '[ran] an end of CreatePipe is the program’s',
    type: 'File',
    frames: ['kernelbase!CreatePipe+0x1b5', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'the root of the pipes that CreatePipe keeps is the system’s',
    type: 'File',
    name: '\\Device\\NamedPipe\\',
    frames: ['kernelbase!CreatePipe', ...mainBottom],
    actor: 'system',
  },
  {
    title: '[ran] a completion port is the program’s',
    type: 'IoCompletion',
    frames: ['kernelbase!CreateIoCompletionPort+0xda', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a mutex of CreateMutexA is the program’s',
    type: 'Mutant',
    frames: ['kernelbase!CreateMutexExW+0x96', 'kernelbase!CreateMutexA+0x26', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a duplicate is the program’s whatever its type',
    type: 'Token',
    frames: ['kernelbase!DuplicateHandle', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a token of OpenProcessToken is the program’s',
    type: 'Token',
    frames: ['kernelbase!OpenProcessToken+0xb', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a desktop of CreateDesktopW is the program’s',
    type: 'Desktop',
    frames: ['user32!CreateDesktopW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a desktop that CreateWindowExW opened is the system’s',
    type: 'Desktop',
    frames: ['user32!CreateWindowExW', ...mainBottom],
    actor: 'system',
  },
  {
    title: 'the process that ShellExecuteExW returns is the program’s',
    type: 'Process',
    frames: ['kernelbase!CreateProcessW', 'shell32!ShellExecuteExW', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'a Create function that no table knows is taken at its word',
    type: 'Event',
    frames: ['kernelbase!CreateFutureThing', ...mainBottom],
    actor: 'program',
  },
  {
    title: 'an object of unknown type is taken to be what the function gives',
    type: 'Unknown',
    frames: ['kernelbase!CreateEventW', ...mainBottom],
    actor: 'program',
  },
];

describe('whose an opened handle is', () => {
  it.each(openings)('$title', ({ type, name, frames, actor }) => {
    expect(attributeOpening(stack(...frames), { type, ...(name === undefined ? {} : { name }) })).toBe(actor);
  });
});
