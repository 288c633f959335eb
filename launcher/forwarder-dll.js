/**
 * Writes a DLL without code. Its only export forwards to a function of another DLL, and the loader follows it.
 *
 * The layout is that of the PE format (https://learn.microsoft.com/windows/win32/debug/pe-format): headers in the
 * first 0x200 bytes, one read-only section in the second.
 *
 * @param {{ dll: string, name: string, target: string }} forward `target` is `dll.Function`, its dll without `.dll`
 * @returns {Uint8Array}
 */
export function forwarderDll({ dll, name, target }) {
  const image = new DataView(new ArrayBuffer(0x400));
  const u16 = (/** @type {number} */ at, /** @type {number} */ value) => image.setUint16(at, value, true);
  const u32 = (/** @type {number} */ at, /** @type {number} */ value) => image.setUint32(at, value, true);
  const u64 = (/** @type {number} */ at, /** @type {bigint} */ value) => image.setBigUint64(at, value, true);
  const text = (/** @type {number} */ at, /** @type {string} */ value) =>
    new Uint8Array(image.buffer).set(new TextEncoder().encode(`${value}\0`), at);

  const peHeader = 0x40;
  text(0, 'MZ'); //                                  e_magic
  u32(0x3c, peHeader); //                            e_lfanew
  text(peHeader, 'PE'); //                           Signature "PE\0\0"

  const fileHeader = peHeader + 4;
  u16(fileHeader, 0x8664); //                        WORD  Machine: IMAGE_FILE_MACHINE_AMD64
  u16(fileHeader + 2, 1); //                         WORD  NumberOfSections
  u16(fileHeader + 16, 240); //                      WORD  SizeOfOptionalHeader
  u16(fileHeader + 18, 0x2022); //                   WORD  Characteristics: DLL, LARGE_ADDRESS_AWARE, EXECUTABLE_IMAGE

  const optionalHeader = fileHeader + 20;
  const section = { address: 0x1000, file: 0x200, size: 0x200 };
  u16(optionalHeader, 0x20b); //                     WORD  Magic: PE32+
  u32(optionalHeader + 8, section.size); //          DWORD SizeOfInitializedData
  u64(optionalHeader + 24, 0x1_8000_0000n); //       ULONGLONG ImageBase
  u32(optionalHeader + 32, 0x1000); //               DWORD SectionAlignment
  u32(optionalHeader + 36, 0x200); //                DWORD FileAlignment
  u16(optionalHeader + 40, 6); //                    WORD  MajorOperatingSystemVersion
  u16(optionalHeader + 48, 6); //                    WORD  MajorSubsystemVersion
  u32(optionalHeader + 56, 0x2000); //               DWORD SizeOfImage
  u32(optionalHeader + 60, section.file); //         DWORD SizeOfHeaders
  u16(optionalHeader + 68, 3); //                    WORD  Subsystem: WINDOWS_CUI
  u16(optionalHeader + 70, 0x0160); //               WORD  DllCharacteristics: NX_COMPAT, DYNAMIC_BASE, HIGH_ENTROPY_VA
  u64(optionalHeader + 72, 0x10_0000n); //           ULONGLONG SizeOfStackReserve
  u64(optionalHeader + 80, 0x1000n); //              ULONGLONG SizeOfStackCommit
  u64(optionalHeader + 88, 0x10_0000n); //           ULONGLONG SizeOfHeapReserve
  u64(optionalHeader + 96, 0x1000n); //              ULONGLONG SizeOfHeapCommit
  u32(optionalHeader + 108, 16); //                  DWORD NumberOfRvaAndSizes
  u32(optionalHeader + 112, section.address); //     DataDirectory[EXPORT].VirtualAddress
  u32(optionalHeader + 116, section.size); //        DataDirectory[EXPORT].Size: a target inside it is a forwarder

  const sectionHeader = optionalHeader + 240;
  text(sectionHeader, '.rdata'); //                  BYTE  Name[8]
  u32(sectionHeader + 8, section.size); //           DWORD VirtualSize
  u32(sectionHeader + 12, section.address); //       DWORD VirtualAddress
  u32(sectionHeader + 16, section.size); //          DWORD SizeOfRawData
  u32(sectionHeader + 20, section.file); //          DWORD PointerToRawData
  u32(sectionHeader + 36, 0x4000_0040); //           DWORD Characteristics: INITIALIZED_DATA, MEM_READ

  const [functions, names, ordinals, dllText, nameText, targetText] = [0x28, 0x2c, 0x30, 0x40, 0x80, 0xc0];
  const directory = section.file;
  u32(directory + 12, section.address + dllText); //   DWORD Name
  u32(directory + 16, 1); //                           DWORD Base
  u32(directory + 20, 1); //                           DWORD NumberOfFunctions
  u32(directory + 24, 1); //                           DWORD NumberOfNames
  u32(directory + 28, section.address + functions); // DWORD AddressOfFunctions
  u32(directory + 32, section.address + names); //     DWORD AddressOfNames
  u32(directory + 36, section.address + ordinals); //  DWORD AddressOfNameOrdinals
  u32(section.file + functions, section.address + targetText);
  u32(section.file + names, section.address + nameText);
  u16(section.file + ordinals, 0);
  text(section.file + dllText, dll);
  text(section.file + nameText, name);
  text(section.file + targetText, target);
  return new Uint8Array(image.buffer);
}
