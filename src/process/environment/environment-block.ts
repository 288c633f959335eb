import { ProcessBasicInformation } from '../../ffi/constants.ts';
import { NtQueryInformationProcess } from '../../ffi/ntdll.ts';
import type { AsHandle } from '../../io/handle.ts';
import { failedWithStatus } from '../../io/system-error.ts';
import { PageReader } from './page-reader.ts';

/** A UNICODE_STRING of a process, and its address there. */
interface TextInMemory {
  readonly address: bigint;
  readonly text: string;
}

/**
 * The environment block of a process (PEB), and some of what it leads to, read once. All of it is the target's memory,
 * and may be anything.
 *
 * https://learn.microsoft.com/windows/win32/api/winternl/ns-winternl-peb
 */
export class EnvironmentBlock {
  /** The id of the process that started it, or in whose name it was started. */
  readonly parentId: number;
  readonly #address: bigint;
  readonly #reader: PageReader;

  private constructor(reader: PageReader, basic: Buffer) {
    this.#reader = reader;
    this.#address = basic.readBigUInt64LE(8); // PPEB PebBaseAddress
    this.parentId = basic.readUInt32LE(0x28); // ULONG_PTR InheritedFromUniqueProcessId
  }

  /**
   * Finds the block of a process.
   *
   * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION and PROCESS_VM_READ
   * @param reader of the same process
   * @throws NtStatusError when the kernel does not return its address
   */
  static of(process: AsHandle, reader: PageReader = PageReader.of(process)): EnvironmentBlock {
    const block = EnvironmentBlock.#find(process, reader);
    if (typeof block === 'number') throw failedWithStatus('find the environment block of a process', '', block);
    return block;
  }

  /** {@link of} for a process that may be anything: `undefined` where the kernel does not return its address. */
  static tryOf(process: AsHandle): EnvironmentBlock | undefined {
    const block = EnvironmentBlock.#find(process, PageReader.of(process));
    return typeof block === 'number' ? undefined : block;
  }

  /** @returns NTSTATUS where there is none */
  static #find(process: AsHandle, reader: PageReader): EnvironmentBlock | number {
    const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION
    const raw = process.asHandle().asRawHandle();
    const status = NtQueryInformationProcess(raw, ProcessBasicInformation, basic, basic.length, null);
    return status === 0 ? new EnvironmentBlock(reader, basic) : status;
  }

  /** Address of the program; `undefined` where it cannot be read. */
  get programBase(): bigint | undefined {
    return this.#reader.readPointer(this.#address + 0x10n); // PVOID ImageBaseAddress
  }

  /** Address of the loader's data; 0 in a process that has not run its loader. */
  get loaderData(): bigint | undefined {
    return this.#reader.readPointer(this.#address + 0x18n); // PPEB_LDR_DATA Ldr
  }

  /** The command line as the process has it. */
  get commandLine(): TextInMemory | undefined {
    const parameters = this.#reader.readPointer(this.#address + 0x20n); // ProcessParameters
    if (parameters === undefined) return undefined;
    const address = parameters + 0x70n; // UNICODE_STRING CommandLine
    const record = this.#reader.read(address, 16);
    const text = record && this.#reader.readText(record, 0);
    return text === undefined ? undefined : { address, text };
  }

  /** WORD Machine of the program, such as 0x8664 for x64; `undefined` where its headers cannot be read. */
  get programMachine(): number | undefined {
    const header = this.#peHeader(this.programBase);
    return header === undefined ? undefined : this.#reader.read(header + 4n, 2)?.readUInt16LE(0);
  }

  /** Bytes of an image in the process; `undefined` where its headers cannot be read. */
  imageSizeBytes(base: bigint): number | undefined {
    const header = this.#peHeader(base);
    // DWORD SizeOfImage
    return header === undefined ? undefined : this.#reader.read(header + 0x50n, 4)?.readUInt32LE(0);
  }

  #peHeader(base: bigint | undefined): bigint | undefined {
    if (!base) return undefined;
    const offset = this.#reader.read(base + 0x3cn, 4)?.readUInt32LE(0); // LONG e_lfanew
    return offset === undefined || offset === 0 ? undefined : base + BigInt(offset);
  }
}
