import { header, IMAGES_OFFSET, IMAGE_COUNT, IMAGE_SIZE_BYTES, image, WALK_CACHE_COUNT } from '../ledger-layout.ts';
import type { LinkedEnvironment } from '../linkage.ts';
import { type Assembler, at, indexed, type Label, low32, r10, r9, rax, rcx, rdx, r8, rsp } from './assembler.ts';
import type { HookEnvironment } from './hook-frame.ts';
import { type FramedFunction, framedFunction, type FrameShape } from './unwind-info.ts';

const MEM_IMAGE = 0x100_0000;

/** Emits `void noteImage(void* base)`: if an image was mapped there, notes its place, size and path. */
export function emitNoteImage(
  assembler: Assembler,
  begin: Label,
  environment: Pick<HookEnvironment, 'words' | 'native' | 'hookFunctions'>,
): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x78 };
  const base = at(rsp, 0x30);
  const place = at(rsp, 0x38);
  const information = 0x40; // MEMORY_BASIC_INFORMATION, 0x30 bytes
  const MemoryBasicInformation = 0;
  const MemoryMappedFilenameInformation = 2;
  return framedFunction(assembler, begin, frame, (epilogue) => {
    const [done] = assembler.labels('done');
    const query = (informationClass: number, sizeBytes: number) => {
      assembler.mov(rcx, -1n);
      assembler.mov(rdx, base);
      assembler.mov(low32(r8), informationClass);
      assembler.movImmediate64(at(rsp, 0x20), sizeBytes);
      assembler.movImmediate64(at(rsp, 0x28), 0);
      assembler.call(environment.native('NtQueryVirtualMemory'));
      assembler.test(low32(rax), low32(rax));
    };
    assembler.mov(base, rcx);
    assembler.lea(r9, at(rsp, information));
    query(MemoryBasicInformation, 0x30);
    assembler.j('s', done);
    assembler.cmpImmediate32(at(rsp, information + 0x28), MEM_IMAGE); // DWORD Type
    assembler.j('ne', done);
    assembler.mov(rcx, base);
    assembler.call(environment.hookFunctions);
    assembler.mov(r10, environment.words.ledger);
    assembler.mov(low32(rax), 1);
    assembler.lockXadd(at(r10, header.imageCount), low32(rax));
    assembler.cmp(low32(rax), IMAGE_COUNT);
    assembler.j('ae', done);
    assembler.shl(rax, Math.log2(IMAGE_SIZE_BYTES));
    assembler.lea(rax, indexed(r10, rax, 1, IMAGES_OFFSET));
    assembler.mov(place, rax);
    assembler.lea(r9, at(rax, image.path));
    query(MemoryMappedFilenameInformation, IMAGE_SIZE_BYTES - image.path);
    assembler.j('s', done);
    // The headers of a mapped image were checked by the kernel.
    assembler.mov(rcx, base);
    assembler.mov(r10, place);
    assembler.mov(low32(rax), at(rcx, 0x3c)); // LONG e_lfanew
    assembler.mov(low32(rax), indexed(rcx, rax, 1, 0x50)); // DWORD OptionalHeader.SizeOfImage
    assembler.mov(at(r10, image.sizeBytes), low32(rax));
    assembler.mov(at(r10, image.base), rcx);
    assembler.bind(done);
    epilogue();
  });
}

/** Emits `void forgetWalks()`: empties the walk cache. A leaf function. */
export function emitForgetWalks(assembler: Assembler, begin: Label, { words }: LinkedEnvironment): void {
  const [next] = assembler.labels('next');
  assembler.align(16);
  assembler.bind(begin);
  assembler.mov(rcx, words.walkCache);
  assembler.xor(low32(rax), low32(rax));
  assembler.lea(rdx, at(rcx, WALK_CACHE_COUNT * 8));
  assembler.bind(next);
  assembler.mov(at(rcx), rax);
  assembler.add(rcx, 8);
  assembler.cmp(rcx, rdx);
  assembler.j('b', next);
  assembler.ret();
}
