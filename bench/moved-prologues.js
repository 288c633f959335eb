// Moves the beginnings of all functions of DLLs as the agent does, and compares them with what a disassembler that is
// not ours reads before and after. Runs on any system, after `npm run build`:
//     node bench/moved-prologues.js file.dll…
import { readFileSync, writeSync } from 'node:fs';
import { basename } from 'node:path';

import { Code, Decoder, DecoderOptions, FlowControl, Formatter, FormatterSyntax, OpKind } from 'iced-x86';

import { copyPrologue, JUMP_SIZE_BYTES, movePrologue, PROLOGUE_SIZE_BYTES_MAX } from '../dist/agent/patch/prologue.js';

const formatter = new Formatter(FormatterSyntax.Intel);
const BASE = 0x1_8000_0000n;
/** As far from the DLL as the agent's memory may be. */
const PLACES = [BASE - 0x7000_0000n, BASE + 0x6000_0000n];
const EXPORTS = 0;
const EXCEPTIONS = 3;
const IMAGE_SCN_MEM_EXECUTE = 0x2000_0000;

/**
 * @typedef {{ rva: number, sizeBytes: number, fileOffset: number, fileSizeBytes: number, isCode: boolean }} Section
 * @typedef {{ rva: number, sizeBytes: number }} Range
 * @typedef {{ bytes: Buffer, sections: readonly Section[], directories: readonly Range[], sizeBytes: number }} Image
 * @typedef {{ rva: number, sizeBytes: number | undefined, isExport: boolean }} Found
 */

/**
 * @param {string} path
 * @returns {Image | undefined}
 */
function readImage(path) {
  const bytes = readFileSync(path);
  const head = bytes.readUInt32LE(0x3c);
  if (bytes.toString('latin1', head, head + 4) !== 'PE\0\0' || bytes.readUInt16LE(head + 4) !== 0x8664)
    return undefined;
  const table = head + 24 + bytes.readUInt16LE(head + 20);
  const sections = Array.from({ length: bytes.readUInt16LE(head + 6) }, (_, index) => {
    const at = table + index * 40;
    return {
      rva: bytes.readUInt32LE(at + 12),
      sizeBytes: bytes.readUInt32LE(at + 8),
      fileOffset: bytes.readUInt32LE(at + 20),
      fileSizeBytes: bytes.readUInt32LE(at + 16),
      isCode: (bytes.readUInt32LE(at + 36) & IMAGE_SCN_MEM_EXECUTE) !== 0,
    };
  });
  const directories = Array.from({ length: 16 }, (_, index) => ({
    rva: bytes.readUInt32LE(head + 24 + 112 + index * 8),
    sizeBytes: bytes.readUInt32LE(head + 24 + 116 + index * 8),
  }));
  return { bytes, sections, directories, sizeBytes: bytes.readUInt32LE(head + 24 + 56) };
}

/**
 * @param {Image} image
 * @param {number} rva
 * @param {number} sizeBytes
 */
function bytesAt({ bytes, sections }, rva, sizeBytes) {
  const section = sections.find((each) => rva >= each.rva && rva < each.rva + each.fileSizeBytes);
  if (section === undefined) return undefined;
  const at = rva - section.rva + section.fileOffset;
  const end = Math.min(at + sizeBytes, section.fileOffset + section.fileSizeBytes);
  return { code: bytes.subarray(at, end), isCode: section.isCode };
}

/**
 * The functions of an image by its unwind data and its exports.
 *
 * @param {Image} image
 * @returns {readonly Found[]}
 */
function findFunctions(image) {
  /** @type {Map<number, Found>} */
  const found = new Map();
  const [exports, exceptions] = [image.directories[EXPORTS], image.directories[EXCEPTIONS]];
  const entries = exceptions && bytesAt(image, exceptions.rva, exceptions.sizeBytes)?.code;
  for (let at = 0; entries !== undefined && at + 12 <= entries.length; at += 12) {
    const [rva, end, unwind] = [entries.readUInt32LE(at), entries.readUInt32LE(at + 4), entries.readUInt32LE(at + 8)];
    const flags = bytesAt(image, unwind, 1)?.code[0] ?? 0;
    const isPart = (flags & 0x20) !== 0; // UNW_FLAG_CHAININFO: not the beginning of a function
    if (!isPart) found.set(rva, { rva, sizeBytes: end - rva, isExport: false });
  }
  const directory = exports && exports.sizeBytes > 0 ? bytesAt(image, exports.rva, 40)?.code : undefined;
  const count = directory?.readUInt32LE(20) ?? 0;
  const addresses = directory && bytesAt(image, directory.readUInt32LE(28), count * 4)?.code;
  for (let index = 0; addresses !== undefined && index < count; index += 1) {
    const rva = addresses.readUInt32LE(index * 4);
    const isForwarded = exports !== undefined && rva >= exports.rva && rva < exports.rva + exports.sizeBytes;
    if (rva !== 0 && !isForwarded && bytesAt(image, rva, 1)?.isCode)
      found.set(rva, { rva, sizeBytes: found.get(rva)?.sizeBytes, isExport: true });
  }
  return [...found.values()];
}

/**
 * The instructions that begin in the first bytes of code, as text with absolute addresses.
 *
 * @param {Uint8Array} code
 * @param {bigint} address
 * @param {number} sizeBytes
 */
function disassemble(code, address, sizeBytes) {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  decoder.ip = address;
  const lines = [];
  let size = 0;
  while (decoder.canDecode && size < sizeBytes) {
    const instruction = decoder.decode();
    if (instruction.code === Code.INVALID) break;
    size += instruction.length;
    const isRelative = instruction.isIpRelMemoryOperand;
    lines.push({
      text: formatter.format(instruction),
      length: instruction.length,
      operand: isRelative ? instruction.ipRelMemoryAddress : undefined,
      code: instruction.code,
    });
    instruction.free();
  }
  decoder.free();
  return { lines, size };
}

/**
 * Names the instructions that keep the agent from moving a function.
 *
 * @param {Uint8Array} code
 * @param {bigint} address
 */
function describeObstacle(code, address) {
  const { lines } = disassemble(code, address, JUMP_SIZE_BYTES);
  return lines.map(({ code: name }) => Code[name]).join(', ');
}

/**
 * Whether a jump of a function leads into the bytes that are replaced.
 *
 * @param {Image} image
 * @param {Found} found
 */
function jumpsBack(image, { rva, sizeBytes }) {
  const code = sizeBytes && bytesAt(image, rva, sizeBytes)?.code;
  if (!code) return false;
  const decoder = new Decoder(64, code, DecoderOptions.None);
  decoder.ip = BASE + BigInt(rva);
  let isFound = false;
  while (decoder.canDecode && !isFound) {
    const instruction = decoder.decode();
    const isBranch =
      instruction.flowControl === FlowControl.ConditionalBranch ||
      instruction.flowControl === FlowControl.UnconditionalBranch;
    if (isBranch && instruction.op0Kind === OpKind.NearBranch64) {
      const target = instruction.nearBranchTarget - BASE - BigInt(rva);
      isFound = target > 0n && target < BigInt(JUMP_SIZE_BYTES);
    }
    instruction.free();
  }
  decoder.free();
  return isFound;
}

/**
 * The first difference between a function's beginning and its copies.
 *
 * @param {Uint8Array} code
 * @param {bigint} address
 * @param {NonNullable<ReturnType<typeof movePrologue>>} moved
 */
function findDifference(code, address, moved) {
  const before = disassemble(code, address, moved.sizeBytes);
  if (before.size !== moved.sizeBytes) return `${moved.sizeBytes} bytes are no whole instructions`;
  const isTailJump = moved.continuesAt !== address + BigInt(moved.sizeBytes);
  const whole = disassemble(code, address, moved.sizeBytes + (isTailJump ? 1 : 0));
  if (whole.size < JUMP_SIZE_BYTES) return `${whole.size} bytes leave no room for a jump`;
  for (const place of PLACES) {
    const after = disassemble(copyPrologue(code, moved, address, place), place, moved.sizeBytes);
    for (const [index, line] of before.lines.entries()) {
      const copied = after.lines[index];
      const isSame =
        copied !== undefined &&
        copied.code === line.code &&
        copied.length === line.length &&
        copied.operand === line.operand &&
        copied.text === line.text;
      if (!isSame) return `${line.text} became ${copied?.text}`;
    }
  }
  return undefined;
}

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`);
}

let differences = 0;
for (const path of process.argv.slice(2)) {
  const image = readImage(path);
  if (image === undefined) {
    say(`${path}: no x64 image`);
    continue;
  }
  const module = { base: BASE, end: BASE + BigInt(image.sizeBytes) };
  const counts = { functions: 0, moved: 0, exports: 0, exportsMoved: 0, relative: 0, jumpBack: 0 };
  /** @type {Map<string, number>} */
  const obstacles = new Map();
  for (const found of findFunctions(image)) {
    const code = bytesAt(image, found.rva, PROLOGUE_SIZE_BYTES_MAX)?.code;
    if (code === undefined) continue;
    const address = BASE + BigInt(found.rva);
    const moved = movePrologue(code, address, module);
    counts.functions += 1;
    if (found.isExport) counts.exports += 1;
    if (moved === undefined) {
      const obstacle = describeObstacle(code, address);
      obstacles.set(obstacle, (obstacles.get(obstacle) ?? 0) + 1);
      continue;
    }
    counts.moved += 1;
    if (found.isExport) counts.exportsMoved += 1;
    if (moved.distances.length > 0) counts.relative += 1;
    if (jumpsBack(image, found)) counts.jumpBack += 1;
    const difference = findDifference(code, address, moved);
    if (difference !== undefined) {
      differences += 1;
      say(`  ${basename(path)}+${found.rva.toString(16)}: ${difference}`);
    }
  }
  say(`${basename(path)}: ${counts.moved} of ${counts.functions} functions moved`);
  say(`  ${counts.exportsMoved} of ${counts.exports} exports`);
  say(`  ${counts.relative} with operands relative to themselves`);
  say(`  ${counts.jumpBack} with a jump into the replaced bytes`);
  const most = [...obstacles].sort(([, one], [, other]) => other - one).slice(0, 6);
  for (const [obstacle, count] of most) say(`  ${count} not: ${obstacle}`);
}
say(`${differences} differences`);
process.exitCode = differences === 0 ? 0 : 1;
