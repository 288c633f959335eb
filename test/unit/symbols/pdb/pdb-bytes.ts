import { text, u16, u32 } from '../bytes.ts';

export const BLOCK_SIZE_BYTES = 512;
export const GUID: Buffer = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
/** {@link GUID} and age 1. */
export const PDB_ID = '33221100554477668899AABBCCDDEEFF1';
/** The one section: it begins here in the image. */
export const SECTION_RVA = 0x1000;

type Bytes = readonly number[] | Buffer;

export const join = (...parts: readonly Bytes[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** Zeros up to whole words. */
const pad = (bytes: Buffer): Buffer => join(bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4));

/** A symbol or type: its length, its kind, and the rest. */
export function record(kind: number, ...parts: readonly Bytes[]): Buffer {
  const rest = pad(join(u16(kind), ...parts, Buffer.alloc(0)));
  // The length itself has two bytes, and all of it whole words.
  const body = rest.length % 4 === 2 ? rest : join(rest, [0, 0]);
  return join(u16(body.length), body);
}

/** A part of a module's lines: its kind, its length, and the rest. */
export const subsection = (kind: number, ...parts: readonly Bytes[]): Buffer => {
  const body = pad(join(...parts));
  return join(u32(kind), u32(body.length), body);
};

/** A container of streams; `undefined` is a number without a stream. */
export function container(streams: readonly (Buffer | undefined)[]): Buffer {
  const blocks: Buffer[] = [
    Buffer.alloc(BLOCK_SIZE_BYTES),
    Buffer.alloc(BLOCK_SIZE_BYTES),
    Buffer.alloc(BLOCK_SIZE_BYTES),
  ];
  const place = (stream: Buffer): number[] => {
    const numbers: number[] = [];
    for (let at = 0; at < stream.length; at += BLOCK_SIZE_BYTES) {
      // The blocks of a stream lie apart: every other one is of no use.
      blocks.push(Buffer.alloc(BLOCK_SIZE_BYTES));
      numbers.push(blocks.length);
      const block = Buffer.alloc(BLOCK_SIZE_BYTES);
      stream.copy(block, 0, at, at + BLOCK_SIZE_BYTES);
      blocks.push(block);
    }
    return numbers;
  };
  const placed = streams.map((stream) => (stream === undefined ? [] : place(stream)));
  const directory = join(
    u32(streams.length),
    ...streams.map((stream) => u32(stream?.length ?? 0xffff_ffff)),
    ...placed.flat().map(u32),
  );
  const map = place(directory);
  const mapBlock = place(join(...map.map(u32)))[0]!;
  join(
    Buffer.from('Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0', 'latin1'),
    ...[BLOCK_SIZE_BYTES, 1, blocks.length, directory.length, 0, mapBlock].map(u32),
  ).copy(blocks[0]!);
  return Buffer.concat(blocks);
}

/** The parts of a PDB that a test cares for. */
export interface PdbParts {
  readonly age?: number;
  /** Symbols of its one module, without the signature. */
  readonly symbols?: readonly Buffer[];
  /** Where the symbols of the module begin to count: behind the signature. */
  readonly lines?: readonly Buffer[];
  /** Public symbols, sorted by address. */
  readonly publics?: readonly { readonly name: string; readonly offset: number; readonly flags?: number }[];
  readonly types?: readonly Buffer[];
  readonly ids?: readonly Buffer[];
  /** Texts of the table of names, one behind the other from offset 1 on. */
  readonly names?: readonly string[];
  /** How many bytes of the section are the module's. */
  readonly codeSizeBytes?: number;
  readonly optionalStreams?: readonly number[];
}

const MODULE = 5;
const PUBLICS = 6;
const RECORDS = 7;
const SECTIONS = 8;
const NAMES = 9;
const TYPE_NOTES = 10;
const ID_NOTES = 11;
const NO_STREAM = 0xffff;

/** A whole PDB of one module. */
export function buildPdb(parts: PdbParts): Buffer {
  const symbols = join(u32(4), ...(parts.symbols ?? []));
  const lines = join(...(parts.lines ?? []));
  const moduleRow = join(
    ...[Buffer.alloc(34), u16(MODULE), u32(symbols.length), u32(0), u32(lines.length), Buffer.alloc(16)],
    ...[text('a.obj'), text('a.obj')],
  );
  const modules = pad(moduleRow);
  const contributions = join(
    ...[u32(0xeffe_0000 + 19_970_605), u16(1), u16(0), u32(0), u32(parts.codeSizeBytes ?? 0x1000), u32(0x6000_0020)],
    ...[u16(0), u16(0), u32(0), u32(0)],
  );
  const optional = join(
    ...(parts.optionalStreams ?? [NO_STREAM, NO_STREAM, NO_STREAM, NO_STREAM, NO_STREAM, SECTIONS]).map(u16),
  );
  const layout = join(
    ...[u32(0xffff_ffff), u32(19_990_903), u32(parts.age ?? 1), u16(NO_STREAM), u16(0), u16(PUBLICS), u16(0)],
    ...[u16(RECORDS), u16(0), u32(modules.length), u32(contributions.length), u32(0), u32(0), u32(0), u32(0)],
    ...[u32(optional.length), u32(0), u16(0), u16(0x8664), u32(0), modules, contributions, optional],
  );
  const records = (parts.publics ?? []).map(({ name, offset, flags = 2 }) =>
    record(0x110e, u32(flags), u32(offset), u16(1), text(name)),
  );
  let at = 0;
  const addresses = records.map((each) => u32((at += each.length) - each.length));
  const publics = join(u32(0), u32(addresses.length * 4), Buffer.alloc(20), ...addresses);
  const names = join(Buffer.from([0]), ...(parts.names ?? []).map(text));
  return container([
    undefined,
    join(u32(20_000_404), u32(0), u32(7), GUID, readableStreams()),
    types(parts.types ?? [], TYPE_NOTES),
    layout,
    types(parts.ids ?? [], ID_NOTES),
    join(symbols, lines),
    publics,
    join(...records, Buffer.alloc(0)),
    join(Buffer.from('.text\0\0\0'), u32(0x1000), u32(SECTION_RVA), Buffer.alloc(24)),
    join(u32(0xeffe_effe), u32(1), u32(names.length), names),
    join(u32(0x1000), u32(0)),
    join(u32(0x1000), u32(0)),
  ]);
}

/** One stream with a name. */
function readableStreams(): Buffer {
  return join(u32(7), text('/names'), ...[1, 1, 1, 1, 0, 0, NAMES].map(u32));
}

/** Numbered from 0x1000 on. */
function types(records: readonly Buffer[], notes: number): Buffer {
  const body = join(...records, Buffer.alloc(0));
  return join(
    ...[
      u32(20_040_203),
      u32(56),
      u32(0x1000),
      u32(0x1000 + records.length),
      u32(body.length),
      u16(notes),
      u16(NO_STREAM),
    ],
    ...[u32(4), u32(1), u32(0), u32(0), u32(0), u32(8), u32(0), u32(0), body],
  );
}
