import { header, image, IMAGE_COUNT, IMAGE_SIZE_BYTES, IMAGES_OFFSET, WALK_CACHE_COUNT } from '../../ledger/layout.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label } from '../../asm/operands.ts';
import { eax, r10, r8d, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../walk/unwind-info.ts';
import type { HookEnvironment } from './hook-frame.ts';
import type { LinkedEnvironment } from '../linkage.ts';

const MEM_IMAGE = 0x100_0000;

/** Emits `void noteImage(void* base)`: if an image was mapped there, notes its place, size and path. */
export function emitNoteImage(
  asm: Assembler,
  begin: Label,
  environment: Pick<HookEnvironment, 'linkSlots' | 'ntdllImport' | 'hookFunctions'>,
): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x78 };
  const base = at(rsp, 0x30);
  const place = at(rsp, 0x38);
  const information = 0x40; // MEMORY_BASIC_INFORMATION, 0x30 bytes
  const MemoryBasicInformation = 0;
  const MemoryMappedFilenameInformation = 2;
  return framedFunction(asm, begin, frame, (epilogue) => {
    const [done] = asm.labels('done');
    const query = (informationClass: number, sizeBytes: number) => {
      asm.mov(rcx, -1n);
      asm.mov(rdx, base);
      asm.mov(r8d, informationClass);
      asm.movImmediate64(at(rsp, 0x20), sizeBytes);
      asm.movImmediate64(at(rsp, 0x28), 0);
      asm.call(environment.ntdllImport('NtQueryVirtualMemory'));
      asm.test(eax, eax);
    };
    asm.mov(base, rcx);
    asm.lea(r9, at(rsp, information));
    query(MemoryBasicInformation, 0x30);
    asm.j('s', done);
    asm.cmpImmediate32(at(rsp, information + 0x28), MEM_IMAGE); // DWORD Type
    asm.j('ne', done);
    asm.mov(rcx, base);
    asm.call(environment.hookFunctions);
    asm.mov(r10, environment.linkSlots.ledger);
    asm.mov(eax, 1);
    asm.lockXadd(at(r10, header.imageCount), eax);
    asm.cmp(eax, IMAGE_COUNT);
    asm.j('ae', done);
    asm.shl(rax, Math.log2(IMAGE_SIZE_BYTES));
    asm.lea(rax, indexed(r10, rax, 1, IMAGES_OFFSET));
    asm.mov(place, rax);
    asm.lea(r9, at(rax, image.path));
    query(MemoryMappedFilenameInformation, IMAGE_SIZE_BYTES - image.path);
    asm.j('s', done);
    // The headers of a mapped image were checked by the kernel.
    asm.mov(rcx, base);
    asm.mov(r10, place);
    asm.mov(eax, at(rcx, 0x3c)); // LONG e_lfanew
    asm.mov(eax, indexed(rcx, rax, 1, 0x50)); // DWORD OptionalHeader.SizeOfImage
    asm.mov(at(r10, image.sizeBytes), eax);
    asm.mov(at(r10, image.base), rcx);
    asm.bind(done);
    epilogue();
  });
}

/** Emits `void clearWalkCache()`: empties the walk cache. A leaf function. */
export function emitClearWalkCache(asm: Assembler, begin: Label, { linkSlots }: LinkedEnvironment): void {
  const [next] = asm.labels('next');
  asm.align(16);
  asm.bind(begin);
  asm.mov(rcx, linkSlots.walkCache);
  asm.xor(eax, eax);
  asm.lea(rdx, at(rcx, WALK_CACHE_COUNT * 8));
  asm.bind(next);
  asm.mov(at(rcx), rax);
  asm.add(rcx, 8);
  asm.cmp(rcx, rdx);
  asm.j('b', next);
  asm.ret();
}
