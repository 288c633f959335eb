/** MEMORY_BASIC_INFORMATION, winnt.h. */
export const memoryInformation = {
  baseAddress: 0x00, // PVOID BaseAddress
  regionSize: 0x18, // SIZE_T RegionSize
  state: 0x20, // DWORD State
  protect: 0x24, // DWORD Protect
  type: 0x28, // DWORD Type
  sizeBytes: 0x30,
} as const;

/** The type of a region that an image is mapped into. */
export const MEM_IMAGE = 0x100_0000;
/** The state of a region that memory stands behind. */
export const MEM_COMMIT = 0x1000;

/** Memory that may be read and written, and not run. */
export const PAGE_READWRITE = 0x04;
/** PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE and PAGE_EXECUTE_WRITECOPY: the processor may run it. */
export const PAGE_EXECUTE_ANY = 0xf0;
