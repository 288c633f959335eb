import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, win32 } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it } from 'vitest';

import { BYTECODE_OFFSET_MARK } from '../../../src/call-ledger.ts';
import { HANDLE, loadLibrary, LPCWSTR, POINTER, type Pointer, ULONG64, viewMemory } from '../../../src/ffi/library.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';
import { listModules } from '../../../src/process/modules.ts';
import { ExecutableFile } from '../../../src/symbols/executable-file.ts';
import { Symbolizer } from '../../../src/symbols/symbolizer.ts';
import { ends } from '../../hang.ts';
import { lowestFreeDescriptor, runPrinter } from './printed-addresses.ts';

const buildFolder = fileURLToPath(new URL('../../../fixtures/build/', import.meta.url));
const scratchFolder = mkdtempSync(join(tmpdir(), 'unclosed-symbols-'));
afterAll(() => rmSync(scratchFolder, { recursive: true, force: true }));

const open = (path: string) => ExecutableFile.fromDescriptor(openSync(path, 'r'));

const flavours: readonly (readonly [kind: string, program: string])[] = [
  ['DWARF 4', 'prints-addresses.exe'],
  ['DWARF 5', 'prints-addresses-dwarf5.exe'],
  ['a PDB', 'prints-addresses-pdb.exe'],
];

describe.each(flavours)('a program with %s', (_, name) => {
  const { program, calls } = runPrinter(join(buildFolder, name));

  it('has every call found in its function and on its line, after it has ended', () => {
    using symbolizer = new Symbolizer([program]);
    expect(calls.length).toBeGreaterThan(6);
    for (const call of calls) {
      const frame = symbolizer.resolve(call.address);
      expect(frame, call.address.toString(16)).toMatchObject({
        module: name,
        function: call.function,
        line: call.line,
      });
      expect(win32.basename(frame.file!)).toBe('prints-addresses.c');
      expect(frame.offset).toBeGreaterThan(0);
      expect(frame).not.toHaveProperty('system');
    }
  });

  it('keeps the exported names beside those of symbols, where it counts as one of the system', () => {
    using symbolizer = new Symbolizer([{ ...program, isSystem: true }], { systemSymbols: true });
    for (const call of calls) {
      const frame = symbolizer.resolve(call.address);
      expect(frame).toMatchObject({ function: call.function, system: true });
      // The program exports nothing. Its COFF symbols count as exports do, and a program with a PDB has none.
      if (name.endsWith('-pdb.exe')) expect(frame.exported).toBe('');
      else expect(frame).not.toHaveProperty('exported');
    }
  });

  it('has its calls found wherever it was loaded', () => {
    const moved = 0x7ff6_1234_0000n;
    using symbolizer = new Symbolizer([{ ...program, base: moved }]);
    for (const call of calls) {
      expect(symbolizer.resolve(call.address - program.base + moved)).toMatchObject({
        function: call.function,
        line: call.line,
      });
    }
  });

  it('can be looked at by two symbolizers at a time, which know different modules', () => {
    using first = new Symbolizer([program]);
    using second = new Symbolizer([{ ...program, base: program.base + 0x1000_0000n }]);
    const { address, ...there } = calls[0]!;
    expect(first.resolve(address)).toMatchObject(there);
    expect(second.resolve(address)).toMatchObject({ module: '?' });
    expect(second.resolve(address + 0x1000_0000n)).toMatchObject(there);
    expect(first.resolve(address + 0x1000_0000n)).toMatchObject({ module: '?' });
  });
});

it('the beginning of a function is looked up as it is, not as the end of the one before', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses.exe'));
  using symbolizer = new Symbolizer([program]);
  const inside = symbolizer.resolve(calls[0]!.address);
  const begin = calls[0]!.address - BigInt(inside.offset);
  expect(symbolizer.resolve(begin, 'exact')).toMatchObject({ function: calls[0]!.function, offset: 0 });
  expect(symbolizer.resolve(begin, 'return').function).not.toBe(calls[0]!.function);
});

describe('where there are no symbols', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses.exe'));
  const address = calls[0]!.address;
  const nothingMore = { module: program.name, offset: Number(address - program.base) };

  it('a file that is gone leaves module and offset', () => {
    using symbolizer = new Symbolizer([{ ...program, path: join(scratchFolder, 'not-there.exe') }]);
    expect(symbolizer.resolve(address)).toEqual(nothingMore);
  });

  it('a file that was replaced by another one is not believed', () => {
    using symbolizer = new Symbolizer([{ ...program, sizeBytes: program.sizeBytes + 0x1000 }]);
    expect(symbolizer.resolve(address)).toEqual(nothingMore);
  });

  it.each([
    '\\\\.\\pipe\\x',
    '\\\\?\\pipe\\x',
    '\\Device\\NamedPipe\\x',
    'C:\\a.dll:stream',
    'relative.dll',
    'C:\\windows',
    '',
  ])('a module whose path is %j is not opened', (path) => {
    using symbolizer = new Symbolizer([{ ...program, path }]);
    expect(symbolizer.resolve(address)).toEqual(nothingMore);
  });

  it.each([0n, 1n, program.base - 1n, program.base + BigInt(program.sizeBytes), 0xffff_ffff_ffff_ffffn])(
    'the address %s is outside of all modules',
    (outside) => {
      using symbolizer = new Symbolizer([program]);
      expect(symbolizer.resolve(outside)).toEqual({ module: '?', offset: Number(outside) });
    },
  );

  it('every address of the module is answered, its first and last byte too', () => {
    using symbolizer = new Symbolizer([program]);
    for (const at of [program.base, program.base + 1n, program.base + BigInt(program.sizeBytes) - 1n]) {
      expect(symbolizer.resolve(at)).toMatchObject({ module: program.name });
    }
  });
});

it('a module that overlaps a known one is ignored', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses.exe'));
  using symbolizer = new Symbolizer([program]);
  symbolizer.addModules([
    { ...program, base: program.base - 0x1000n, sizeBytes: 0x1001, name: 'below.dll' },
    { ...program, base: program.base + 0x2000n, sizeBytes: 0x1000, name: 'within.dll' },
    { ...program, base: program.base - 0x1000n, sizeBytes: 0x1000, name: 'beside.dll' },
  ]);
  expect(symbolizer.resolve(calls[0]!.address)).toMatchObject({ module: program.name });
  expect(symbolizer.moduleOf(program.base - 1n)?.name).toBe('beside.dll');
  expect(symbolizer.moduleOf(program.base)?.name).toBe(program.name);
});

it('addresses of a module that another one has replaced get names of the other, and get theirs back with it', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses.exe'));
  const other = { ...program, sizeBytes: program.sizeBytes + 0x1000, name: 'other.dll', path: 'C:\\other.dll' };
  const { address, ...there } = calls[0]!;
  using symbolizer = new Symbolizer([program]);
  expect(symbolizer.resolve(address)).toMatchObject(there);
  symbolizer.addLatestModules([other]);
  expect(symbolizer.resolve(address)).toEqual({ module: 'other.dll', offset: Number(address - program.base) });
  symbolizer.addLatestModules([{ ...program }]);
  expect(symbolizer.resolve(address)).toMatchObject(there);
});

describe('the modules of this very process', () => {
  const modules = listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS));
  const kernel32 = loadLibrary('kernel32.dll');
  const GetModuleHandleW: (name: string) => HANDLE = kernel32.define('GetModuleHandleW', HANDLE, [LPCWSTR]);
  const GetProcAddress: (module: HANDLE, name: Pointer) => bigint = kernel32.define('GetProcAddress', ULONG64, [
    HANDLE,
    POINTER,
  ]);
  const RtlLookupFunctionEntry: (address: bigint, base: Pointer, history: Pointer) => bigint = loadLibrary(
    'ntdll.dll',
  ).define('RtlLookupFunctionEntry', POINTER, [ULONG64, POINTER, POINTER]);

  it.each([
    ['kernel32.dll', 'CreateToolhelp32Snapshot'],
    ['kernelbase.dll', 'CreateEventExW'],
    ['ntdll.dll', 'RtlUserThreadStart'],
    ['ntdll.dll', 'NtClose'],
    ['ws2_32.dll', 'WSASocketW'],
  ])("name an address inside of %s's export %s after it", (dll, name) => {
    using symbolizer = new Symbolizer(modules);
    const address = GetProcAddress(GetModuleHandleW(dll), Buffer.from(`${name}\0`));
    const frame = symbolizer.resolve(address + 5n);
    expect(frame).toMatchObject({ function: name, offset: 5, system: true });
    expect(frame.module.toLowerCase()).toBe(dll);
    expect(frame).not.toHaveProperty('file');
  });

  it('never name an address after a function that Windows says it is not in', () => {
    using symbolizer = new Symbolizer(modules);
    const beginOf = (address: bigint): bigint => {
      const base = new BigUint64Array(1);
      const entry = RtlLookupFunctionEntry(address, base, null);
      return entry === 0n ? 0n : firstPart(base[0]!, new DataView(viewMemory(entry, 12)));
    };
    const firstPart = (base: bigint, entry: DataView): bigint => {
      const unwindInfo = new DataView(viewMemory(base + BigInt(entry.getUint32(8, true)), 1024));
      const isChained = (unwindInfo.getUint8(0) & 0x20) !== 0;
      if (!isChained) return base + BigInt(entry.getUint32(0, true));
      const codes = unwindInfo.getUint8(2);
      return firstPart(base, new DataView(unwindInfo.buffer, 4 + 2 * (codes + (codes % 2)), 12));
    };
    let named = 0;
    for (const module of modules.filter(({ name }) =>
      /^(?:node\.exe|kernelbase\.dll|ntdll\.dll|ws2_32\.dll)$/i.test(name),
    )) {
      for (let i = 0; i < 2_500; i++) {
        const address = module.base + 0x1000n + BigInt(Math.floor(((module.sizeBytes - 0x2000) / 2_500) * i));
        const frame = symbolizer.resolve(address, 'exact');
        if (frame.function === undefined || beginOf(address) === 0n) continue;
        named++;
        const begin = address - BigInt(frame.offset);
        expect(beginOf(begin), `${module.name} 0x${address.toString(16)} ${frame.function}`).toBe(beginOf(address));
      }
    }
    expect(named).toBeGreaterThan(500);
  });

  it('are read once for twenty thousand addresses', () => {
    using symbolizer = new Symbolizer(modules);
    const places = Array.from({ length: 20_000 }, (_, i) => {
      const module = modules[i % modules.length]!;
      return module.base + BigInt(0x1000 + Math.floor((module.sizeBytes - 0x1000) * (i / 20_000)));
    });
    const frames = ends(() => symbolizer.resolveStack(places));
    expect(frames.filter((frame) => frame.function !== undefined).length).toBeGreaterThan(500);
  });
});

describe.each(flavours)('twenty thousand questions to a program with %s', (_, name) => {
  it('come to an end, and most are in a function', () => {
    const { program } = runPrinter(join(buildFolder, name));
    using symbolizer = new Symbolizer([program]);
    const frames = ends(() =>
      Array.from({ length: 20_000 }, (_, i) => symbolizer.resolve(program.base + 0x1000n + BigInt(i % 10_000))),
    );
    expect(frames.filter((frame) => frame.function !== undefined).length).toBeGreaterThan(16_000);
  });
});

it('a program with DWARF whose linker left a record without a PDB names no PDB', () => {
  const path = join(buildFolder, 'leaks-in-template-dwarf5.exe');
  using file = open(path);
  expect(file?.pdb).toBeUndefined();
  using other = open(path.replace('dwarf5', 'pdb'));
  expect(other?.pdb?.path).toMatch(/leaks-in-template-pdb\.pdb$/);
});

it('names the same functions whether their files were read ahead, in part or not at all', () => {
  const modules = listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS));
  const ntdll = modules.find(({ name }) => name.toLowerCase() === 'ntdll.dll')!;
  const addresses = Array.from(
    { length: 2000 },
    (_, index) => ntdll.base + BigInt(Math.floor((ntdll.sizeBytes / 2000) * index)),
  );
  const namesAfter = (pieces: number): readonly (string | undefined)[] => {
    using symbolizer = new Symbolizer();
    const reading = symbolizer.readAhead([ntdll.path, join(scratchFolder, 'nothing.dll')]);
    for (let piece = 0; piece < pieces; piece++) reading.next();
    reading.return(undefined);
    symbolizer.addModules([ntdll]);
    return addresses.map((address) => symbolizer.resolve(address).function);
  };
  const names = namesAfter(0);
  expect(names.filter((name) => name !== undefined).length).toBeGreaterThan(50);
  for (const pieces of [1, 2, 3, 4, 9]) expect(namesAfter(pieces)).toEqual(names);
});

it('leaves no file open behind it, although some were read ahead more than once', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses.exe'));
  const before = lowestFreeDescriptor();
  const symbolizer = new Symbolizer();
  for (let time = 1; time <= 2; time += 1) {
    symbolizer.findGoCode(program);
    expect([...symbolizer.readAhead([program.path])]).not.toEqual([]);
  }
  symbolizer.addModules([program]);
  expect(symbolizer.resolve(calls[0]!.address)).toMatchObject({ line: calls[0]!.line });
  expect(lowestFreeDescriptor()).toBeGreaterThan(before);
  symbolizer[Symbol.dispose]();
  expect(lowestFreeDescriptor()).toBe(before);
});

it('an instruction of V8’s interpreter in a stack is no frame of its own', () => {
  using symbolizer = new Symbolizer();
  const stack = symbolizer.resolveStack([0x1234n, BYTECODE_OFFSET_MARK | 5n, 0x5678n]);
  expect(stack.map(({ module, offset }) => [module, offset])).toEqual([
    ['?', 0x1234],
    ['?', 0x5678],
  ]);
});
