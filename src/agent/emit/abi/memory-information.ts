/** MEMORY_BASIC_INFORMATION, winnt.h. */
export const memoryInformation = {
  type: 0x28, // DWORD Type
  sizeBytes: 0x30,
} as const;

/** The type of a region that an image is mapped into. */
export const MEM_IMAGE = 0x100_0000;
