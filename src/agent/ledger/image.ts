import { type Struct, struct } from './struct.ts';

const imageFields = {
  /** Address of its first byte; written last. */
  base: 'u64',
  /** IMAGE_OPTIONAL_HEADER64.SizeOfImage. */
  sizeBytes: 'u32',
  padding: 'u32',
  /** UNICODE_STRING of the file's path as the kernel spells it. Only its length counts here. */
  path: 'u64[2]',
  pathText: 'u16[496]',
} as const;

const imageStruct: Struct<typeof imageFields> = struct(imageFields);

/** An image (program or DLL) that was mapped. With it addresses keep their meaning when it, or the process, is gone. */
export const image: Struct<typeof imageFields>['offsets'] = imageStruct.offsets;
export const IMAGE_SIZE_BYTES: number = imageStruct.sizeBytes;
export const IMAGE_COUNT = 1024;
