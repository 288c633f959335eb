import { type Assembler, at, indexed, type Label, low32, type Memory, r8, r9, rax, rbx, rcx, rdx, relative, rsi, rsp } from './assembler.ts';
import type { HookEnvironment } from './hook-frame.ts';
import { header } from './ledger-layout.ts';
import { emitNativeCall } from './stack-walk.ts';
import { jumpHead } from './stub.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

const PAGE_EXECUTE_READWRITE = 0x40;

/** The functions of one DLL, and where the DLL must come to lie for their hooks to fit. */
export interface PatchTable {
  readonly moduleBase: bigint;
  /** Offsets from the PE header, and the 32 bits there, that together tell this DLL from every other. */
  readonly identity: readonly (readonly [offset: number, value: number])[];
  /** 3 x u64 each: address, the eight bytes that must be there, the eight bytes that take their place. */
  readonly table: Label;
  readonly count: number;
}

const ENTRY_SIZE_BYTES = 0x18;
const ENTRY_CODE = 0x10;

/** Emits the table of a module. What takes the place of the functions' first bytes is their own code until {@link setJump} has been told. */
export function emitPatchTable(
  assembler: Assembler,
  { base, identity, functions }: { readonly base: bigint; readonly identity: PatchTable['identity']; readonly functions: readonly { readonly address: bigint; readonly code: Uint8Array }[] },
): PatchTable {
  assembler.align(8);
  const table = assembler.bind(assembler.label('patch table'));
  for (const { address, code } of functions) {
    assembler.data64(address);
    assembler.data(code.subarray(0, 8));
    assembler.data(code.subarray(0, 8));
  }
  return { moduleBase: base, identity, table, count: functions.length };
}

/** Lets the function of a table's entry begin with a jump to `target`, in the assembled image. */
export function setJump(image: Uint8Array, tableOffset: number, index: number, address: bigint, target: bigint): void {
  image.set(jumpHead(address, target), tableOffset + index * ENTRY_SIZE_BYTES + ENTRY_CODE);
}

/**
 * Emits `void hookFunctions(void* base)`: if a DLL whose functions are to be hooked was mapped there, hooks them before
 * any of its code runs. What is not as expected stays as it is, and is counted.
 */
export function emitHookFunctions(
  assembler: Assembler,
  begin: Label,
  modules: readonly PatchTable[],
  environment: Pick<HookEnvironment, 'ledger' | 'nativeCall'>,
): FramedFunction {
  const frame: FrameShape = { pushes: [rbx, rsi], sizeBytes: 0x58 };
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [compare, compareNext, next, elsewhere, missed, counted, done] = assembler.labels(
      'compare', 'compareNext', 'next', 'elsewhere', 'missed', 'counted', 'done',
    ); // prettier-ignore
    const address = at(rsp, 0x30);
    const size = at(rsp, 0x38);
    const original = at(rsp, 0x40);
    const ours = at(rsp, 0x48);
    const protect = (protection: number | Memory, before: Memory) => {
      assembler.mov(rax, at(rbx));
      assembler.mov(address, rax);
      assembler.movImmediate64(size, 8);
      assembler.mov(rcx, -1n);
      assembler.lea(rdx, address);
      assembler.lea(r8, size);
      assembler.mov(low32(r9), protection);
      assembler.lea(rax, before);
      assembler.mov(at(rsp, 0x20), rax);
      emitNativeCall(assembler, environment.nativeCall('NtProtectVirtualMemory'));
    };
    assembler.mov(low32(rax), at(rcx, 0x3c)); // LONG e_lfanew
    for (const { moduleBase, identity, table, count } of modules) {
      const other = assembler.label('other');
      // One of these alone may be shared: reproducible builds give all their files the same time.
      for (const [offset, value] of identity) {
        assembler.cmpImmediate32(indexed(rcx, rax, 1, offset), value | 0);
        assembler.j('ne', other);
      }
      assembler.lea(rbx, relative(table));
      assembler.mov(low32(rsi), count);
      assembler.mov(rdx, moduleBase);
      assembler.cmp(rdx, rcx);
      assembler.j('e', compare);
      assembler.jmp(elsewhere);
      assembler.bind(other);
    }
    epilogue();

    assembler.bind(elsewhere);
    assembler.mov(rax, environment.ledger);
    assembler.mov(low32(rdx), low32(rsi));
    assembler.lockXadd(at(rax, header.functionsMissed), low32(rdx));
    epilogue();

    // All or none: what is opened by a function that is not hooked would seem closed to another one that is.
    assembler.bind(compare);
    assembler.mov(low32(rdx), low32(rsi));
    assembler.mov(r8, rbx);
    assembler.bind(compareNext);
    assembler.mov(rax, at(r8));
    assembler.mov(rax, at(rax));
    assembler.cmp(rax, at(r8, 8));
    assembler.j('ne', elsewhere);
    assembler.add(r8, ENTRY_SIZE_BYTES);
    assembler.sub(low32(rdx), 1);
    assembler.j('ne', compareNext);

    assembler.bind(next);
    assembler.test(low32(rsi), low32(rsi));
    assembler.j('e', done);
    protect(PAGE_EXECUTE_READWRITE, original);
    assembler.test(low32(rax), low32(rax));
    assembler.j('s', missed);
    assembler.mov(rax, at(rbx));
    assembler.mov(rcx, at(rbx, ENTRY_CODE));
    assembler.mov(at(rax), rcx); // one write, before the first call
    protect(original, ours);
    assembler.mov(rax, environment.ledger);
    assembler.lockInc32(at(rax, header.functionsHooked));
    assembler.jmp(counted);
    assembler.bind(missed);
    assembler.mov(rax, environment.ledger);
    assembler.lockInc32(at(rax, header.functionsMissed));
    assembler.bind(counted);
    assembler.add(rbx, ENTRY_SIZE_BYTES);
    assembler.sub(low32(rsi), 1);
    assembler.jmp(next);
    assembler.bind(done);
    epilogue();
  });
}
