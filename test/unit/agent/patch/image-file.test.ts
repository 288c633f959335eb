import { expect, test } from 'vitest';

import { placeInImageFile } from '../../../../src/agent/patch/image-file.ts';

const PE = 0x80;
/** The headers of an image with a section of 0x200 bytes at 0x400 in the file and at 0x1000 in the image. */
function image(): Buffer {
  const file = Buffer.alloc(0x400);
  file.writeUInt32LE(PE, 0x3c);
  file.writeUInt32LE(0x4550, PE);
  file.writeUInt16LE(1, PE + 6); // NumberOfSections
  file.writeUInt32LE(0x1234, PE + 8); // TimeDateStamp
  file.writeUInt16LE(0xf0, PE + 20); // SizeOfOptionalHeader
  const section = PE + 24 + 0xf0;
  file.writeUInt32LE(0x1000, section + 12);
  file.writeUInt32LE(0x200, section + 16);
  file.writeUInt32LE(0x400, section + 20);
  return file;
}

const identity = [{ offset: 8, value: 0x1234 }];

test('bytes of a section are found by their address', () => {
  expect(placeInImageFile(image(), 0x1010, 4, identity)).toBe(0x410);
  expect(placeInImageFile(image(), 0x11fc, 4, identity)).toBe(0x5fc);
});

test.each<[string, Buffer, number]>([
  ['before the first section', image(), 0xfff],
  ['beyond the end of a section', image(), 0x11fd],
  ['of an image of another time', Buffer.from(image().fill(1, PE + 8, PE + 12)), 0x1010],
  ['of a file that is cut off', image().subarray(0, PE + 24 + 0xf0 + 16), 0x1010],
  ['of a file without sections', image().fill(0, PE + 6, PE + 8), 0x1010],
  ['of a file without a header', Buffer.alloc(0x400), 0x1010],
  ['of an empty file', Buffer.alloc(0), 0x1010],
  ['of a header that lies nowhere', image().fill(0xff, 0x3c, 0x40), 0x1010],
])('bytes %s are not there', (_what, file, rva) => {
  expect(placeInImageFile(file, rva, 4, identity)).toBeUndefined();
});
