import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forwarderDll } from '../../../launcher/forwarder-dll.js';
import { alignToPages } from '../../../launcher/page-aligned.js';

describe('alignToPages', () => {
  // As linkers write it: headers in 0x200 bytes, and one section in the next 0x200.
  const image = Buffer.from(forwarderDll({ dll: 'a.dll', name: 'f', target: 'b.f' }));
  const aligned = Buffer.from(alignToPages(Buffer.concat([image, Buffer.from('signature')])));
  const optionalHeader = 0x40 + 24;
  const section = optionalHeader + 240;

  it('puts each section at a page of the file, with zeros behind it', () => {
    assert.equal(aligned.length, 0x2000);
    assert.equal(aligned.readUInt32LE(section + 16), 0x1000);
    assert.equal(aligned.readUInt32LE(section + 20), 0x1000);
    assert.deepEqual(aligned.subarray(0x1000, 0x1200), image.subarray(0x200, 0x400));
    assert.ok(aligned.subarray(0x1200).every((byte) => byte === 0));
  });

  it('keeps all headers but the alignment and the signature', () => {
    const headers = Buffer.from(aligned.subarray(0, 0x200));
    assert.equal(headers.readUInt32LE(optionalHeader + 36), 0x1000);
    assert.equal(headers.readUInt32LE(optionalHeader + 60), 0x1000);
    for (const at of [optionalHeader + 36, optionalHeader + 60, section + 16, section + 20])
      image.copy(headers, at, at, at + 4);
    assert.deepEqual(headers, image.subarray(0, 0x200));
    assert.ok(aligned.subarray(0x200, 0x1000).every((byte) => byte === 0));
  });

  it('refuses a file whose headers point out of it', () => {
    for (const length of [0x100, 0x3ff]) assert.throws(() => alignToPages(image.subarray(0, length)), RangeError);
  });
});
