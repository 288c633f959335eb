import type { Frame, HandleObject, Stack } from '../../../src/model.ts';
import type { CallRecord, Misuse, OpenSite } from '../../../src/evidence-model.ts';

const programModules = ['app', 'plugin', 'guard', '?'];

/**
 * A frame in short: `module!function`, `module+0x12`, with `+0x…` for an offset and ` @file:line` for a source line.
 * `app` is the program, `plugin` a DLL of its own, `guard` one of other software, `?` no module at all; every other
 * module is Windows'.
 */
export function frame(text: string): Frame {
  const [code = '', source] = text.split(' @');
  const [, module = '?', name, hex] = /^([^!+]+)(?:!([^+]+))?(?:\+(0x[0-9a-f]+))?$/.exec(code) ?? [];
  const [, file, line] = /^(.*):(\d+)$/.exec(source ?? '') ?? [];
  const fileName = module === '?' ? '?' : module === 'app' ? 'app.exe' : `${module}.dll`;
  return {
    module: fileName,
    ...(name === undefined ? {} : { function: name }),
    offset: hex === undefined ? 0x10 : Number(hex),
    ...(file === undefined ? {} : { file, line: Number(line) }),
    ...(programModules.includes(module) ? {} : { system: true as const }),
  };
}

/** A stack, innermost frame first. */
export function stack(...frames: readonly string[]): Stack {
  return frames.map(frame);
}

/** The bottom of a thread that the program started with `main`, as MinGW builds and Wine show it. */
export const mainBottom: readonly string[] = [
  'app!main @app.c:9',
  'app!__tmainCRTStartup',
  'app!mainCRTStartup',
  'kernel32!BaseThreadInitThunk+0x9',
  'ntdll!RtlUserThreadStart+0x88',
];

export function called(call: string, ...frames: readonly string[]): CallRecord {
  return { call, threadId: 44, timeMs: 120, stack: stack(...frames) };
}

export function openSite(parts: Partial<OpenSite> & { readonly opened?: CallRecord } = {}): OpenSite {
  const object: HandleObject = parts.object ?? { type: 'Event' };
  const count = parts.count ?? 1;
  const examples = Array.from({ length: Math.min(count, 10) }, (_, index) => ({
    value: BigInt(0x1a4 + 4 * index),
    object,
    access: 0x1f0003,
    inheritable: false,
    protectFromClose: false,
  }));
  return { object, count, examples, endedCount: 0, ...parts };
}

export function misuse(parts: Partial<Misuse> & { readonly offending: CallRecord }): Misuse {
  return { kind: 'close', status: 0xc0000008, count: 1, values: [0x1a4n], ...parts };
}
