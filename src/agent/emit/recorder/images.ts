import { header, IMAGES_OFFSET } from '../../ledger/layout.ts';
import { image, IMAGE_COUNT, IMAGE_SIZE_BYTES } from '../../ledger/image.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, indexed, type Label } from '../../asm/operands.ts';
import { eax, r10, r8d, r9, rax, rcx, rdx, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';
import { framePlaces } from '../abi/frame-places.ts';
import { type FramedFunction, framedFunction, type FrameShape } from '../abi/framed-function.ts';
import { MEM_IMAGE, memoryInformation } from '../abi/memory-information.ts';

/** Emits `void noteImage(void* base)`: if an image was mapped there, notes its address, size and path. */
export function emitNoteImage(
  asm: Assembler,
  begin: Label,
  environment: LinkedEnvironment & { readonly hookFunctions: Label },
): FramedFunction {
  const frame: FrameShape = { pushes: [], sizeBytes: 0x78 };
  const { base, record } = framePlaces(frame, 0x30, 'base', 'record');
  const information = 0x40; // MEMORY_BASIC_INFORMATION
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
    query(MemoryBasicInformation, memoryInformation.sizeBytes);
    asm.j('s', done);
    asm.cmpImmediate32(at(rsp, information + memoryInformation.type), MEM_IMAGE);
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
    asm.mov(record, rax);
    asm.lea(r9, at(rax, image.path));
    query(MemoryMappedFilenameInformation, IMAGE_SIZE_BYTES - image.path);
    asm.j('s', done);
    // The kernel has checked the headers of an image that it maps.
    asm.mov(rcx, base);
    asm.mov(r10, record);
    asm.mov(eax, at(rcx, 0x3c)); // LONG e_lfanew
    asm.mov(eax, indexed(rcx, rax, 1, 0x50)); // DWORD OptionalHeader.SizeOfImage
    asm.mov(at(r10, image.sizeBytes), eax);
    asm.mov(at(r10, image.base), rcx);
    asm.bind(done);
    epilogue();
  });
}
