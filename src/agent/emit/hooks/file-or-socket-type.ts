import { typeIndex } from '../../tables/object-types.ts';
import type { Assembler } from '../../asm/assembler.ts';
import { at, type Label } from '../../asm/operands.ts';
import { eax, r8d, rax, rcx, rdx } from '../../asm/registers.ts';

/** The extended attribute by which Winsock asks the driver for a socket (phnt's ntafd.h, AfdOpenPacket). */
const SOCKET_ATTRIBUTE = 'AfdOpenPacketXX';
const SOCKET_DEVICE = '\\Device\\Afd';

/** FILE_FULL_EA_INFORMATION, phnt's ntioapi.h. */
const extendedAttribute = {
  nameLength: 0x05, // UCHAR EaNameLength, without the terminating zero
  name: 0x08, // CHAR EaName[]
} as const;

/**
 * Emits `u32 fileOrSocketType(OBJECT_ATTRIBUTES*, FILE_FULL_EA_INFORMATION*, u32 bytes of the latter)`: the type index
 * of `Socket` or of `File`. The kernel has accepted the structures before. A leaf function.
 *
 * Not every file of the driver Afd is a socket. Libraries that wait for many sockets open files like `\Device\Afd\Mio`
 * and `\Device\Afd\Wepoll`, and close them as files. On Windows a socket is a file that was asked for by the first of
 * its extended attributes. Wine asks for a socket by the path of the device alone, in a call without such attributes.
 */
export function emitFileOrSocketType(asm: Assembler, begin: Label): void {
  const [path, socket, file] = asm.labels('path', 'socket', 'file');
  asm.align(16);
  asm.bind(begin);
  asm.test(rdx, rdx);
  asm.j('e', path);
  asm.cmp(r8d, extendedAttribute.name + SOCKET_ATTRIBUTE.length);
  asm.j('b', path);
  asm.movzx8(rax, at(rdx, extendedAttribute.nameLength));
  asm.cmp(eax, SOCKET_ATTRIBUTE.length);
  asm.j('ne', path);
  for (const start of [0, SOCKET_ATTRIBUTE.length - 8]) {
    asm.mov(rax, Buffer.from(SOCKET_ATTRIBUTE, 'latin1').readBigUInt64LE(start));
    asm.cmp(rax, at(rdx, extendedAttribute.name + start));
    asm.j('ne', path);
  }
  asm.jmp(socket);

  asm.bind(path);
  asm.test(rcx, rcx);
  asm.j('e', file);
  asm.mov(rcx, at(rcx, 0x10)); // PUNICODE_STRING ObjectName
  asm.test(rcx, rcx);
  asm.j('e', file);
  asm.movzx16(rax, at(rcx)); // USHORT Length
  asm.cmp(eax, SOCKET_DEVICE.length * 2);
  asm.j('ne', file);
  asm.mov(rcx, at(rcx, 8)); // PWSTR Buffer
  for (const start of [0, 4, SOCKET_DEVICE.length - 4]) {
    asm.mov(rax, Buffer.from(SOCKET_DEVICE, 'utf16le').readBigUInt64LE(start * 2));
    asm.cmp(rax, at(rcx, start * 2));
    asm.j('ne', file);
  }
  asm.bind(socket);
  asm.mov(eax, typeIndex('Socket'));
  asm.ret();
  asm.bind(file);
  asm.mov(eax, typeIndex('File'));
  asm.ret();
}
