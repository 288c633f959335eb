import { IMAGE_SIZE_BYTES } from '../../dist/agent/ledger/image.js';
import {
  CHILD_REQUEST_COUNT,
  CHILD_REQUEST_SIZE_BYTES,
  CHILD_REQUESTED,
  header,
  HEADER_SIZE_BYTES,
  ledgerLayout,
  slot,
  SLOT_SIZE_BYTES,
  stackNode,
} from '../../dist/agent/ledger/layout.js';
import { RUNTIME_OBJECT_SIZE_BYTES, runtimeObject } from '../../dist/agent/ledger/runtime-object.js';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES } from '../../dist/agent/ledger/misuse.js';
import { AGENT_HEADER_SIZE_BYTES, agentHeader } from '../../dist/agent/linkage/agent-header.js';

const SLOT_COUNT = 1 << 20;
const layout = ledgerLayout(SLOT_COUNT);

/** Numbers that a reader may take for counts, sizes or places: around each limit of the ledger, and far beyond. */
const plausible = [
  ...[0n, 1n, 2n, 8n, 0xffn, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x7fff_ffff_ffff_ffffn],
  ...[0xffff_ffff_ffff_ffffn, 0x1_0000_0001_0000n, 0x4000_0000_0000n],
  ...[SLOT_COUNT, SLOT_COUNT - 1, SLOT_COUNT + 1, MISUSE_COUNT, 48 << 20, layout.sizeBytes, 1024, 65_536].map(BigInt),
];

/**
 * The parts of the ledger, each as likely as the others.
 *
 * @type {readonly (readonly [offset: number, sizeBytes: number])[]}
 */
const parts = [
  [0, 0x100],
  [0, HEADER_SIZE_BYTES],
  [layout.misusesOffset, 16 * MISUSE_SIZE_BYTES],
  [layout.misusesOffset, MISUSE_COUNT * MISUSE_SIZE_BYTES],
  [layout.imagesOffset, 40 * IMAGE_SIZE_BYTES],
  [layout.runtimeObjectsOffset, 64 * RUNTIME_OBJECT_SIZE_BYTES],
  [layout.stackPoolOffset, 0x4000],
  [layout.slotsOffset, 256 * SLOT_SIZE_BYTES],
  [layout.earlierLivesOffset, 0x4000],
];

/** Random numbers that are the same for the same seed. */
export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = Math.imul(seed + 1, 0x9e37_79b1) >>> 0;
  }

  /** @param {number} limit */
  below(limit) {
    // mulberry32
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** @template Item @param {readonly Item[]} items @returns {Item} */
  pick(items) {
    return /** @type {Item} */ (items[this.below(items.length)]);
  }
}

/** @param {number | bigint} value */
const hex = (value) => value.toString(16);

/**
 * Ways to damage the recorder, as steps of scribbles-on-recorder.
 *
 * @type {readonly ((random: Random) => string)[]}
 */
const damages = [
  // Bytes, words, pages and whole parts, with zeros, ones, and anything.
  (random) => fill('L', ...place(random, 8), random),
  (random) => fill('L', ...place(random, 64), random),
  (random) => fill('L', ...place(random, 4096), random),
  (random) => fill('L', ...random.pick(parts), random),
  (random) => fill('L', random.below(layout.sizeBytes >> 12) << 12, 0x1000 << random.below(6), random),
  (random) => fill('L', 0, layout.sizeBytes, random),
  (random) => fill('L', layout.slotsOffset, SLOT_COUNT * SLOT_SIZE_BYTES, random),
  // Counts of the header, and its neighbours.
  (random) => `f L ${hex(random.below(HEADER_SIZE_BYTES >> 3) << 3)} 8 ${hex(random.pick(plausible))}`,
  (random) =>
    `f L ${hex(random.pick([header.slotsUsed, header.stackPoolUsed, header.slotCount, header.imageCount]))} 8 ${hex(random.pick(plausible))}`,
  // All slots are open, and stand for the same stack.
  () =>
    `f L ${hex(layout.slotsOffset)} ${hex(SLOT_COUNT * SLOT_SIZE_BYTES)} 300000003;f L ${hex(header.slotsUsed)} 8 ${hex(SLOT_COUNT)}`,
  // Stacks and runtime objects that refer to themselves.
  (random) => {
    const id = 1 + random.below(200);
    const at = layout.stackPoolOffset + id * 8 + stackNode.hash + 8;
    return `f L ${hex(at)} 8 ${hex((BigInt(id) << 32n) | BigInt(random.below(0x4_0000)))}`;
  },
  (random) => {
    const index = random.below(64);
    const at = layout.runtimeObjectsOffset + index * RUNTIME_OBJECT_SIZE_BYTES;
    const values = layout.slotsOffset + random.below(128) * SLOT_SIZE_BYTES;
    return `f L ${hex(at + runtimeObject.descriptor)} 8 ${hex(index + 1)};f L ${hex(at)} 8 3;f L ${hex((values + slot.runtimeObject) & ~7)} 8 ${hex(BigInt(index + 1) << 32n)}`;
  },
  // All of the misuse table is ready.
  (random) => `r L ${hex(layout.misusesOffset)} ${hex(MISUSE_COUNT * MISUSE_SIZE_BYTES)} ${hex(random.below(1 << 30))}`,
  // The view of the ledger.
  () => 'u',
  (random) =>
    `p L ${hex(random.below(layout.sizeBytes >> 12) << 12)} ${hex(0x1000 << random.below(16))} ${random.pick(['1', '2', '101'])}`,
  () => `p L 0 ${hex(layout.sizeBytes)} 1`,
  // The gate: its state, its thread and stack, its handles, the events.
  (random) => `f L ${hex(header.gateState)} 8 ${hex(random.below(6))};e arrived`,
  (random) => `t ${hex(header.gateThread)};f L ${hex(header.gateState)} 8 ${hex(1 + random.below(4))};e arrived`,
  (random) =>
    `f L ${hex(header.gateStackPointer)} 8 ${hex(random.pick(plausible))};t ${hex(header.gateThread)};f L ${hex(header.gateState)} 8 1;e arrived`,
  () => 'e arrived;d 1;e arrived;d 1;e arrived',
  (random) => `f L ${hex(header.exitThread)} 10 ${hex(random.pick(plausible))};f L ${hex(header.exiting)} 4 1`,
  () => `c ${hex(header.gateHandles)}`,
  (random) => `f L ${hex(header.gateHandles)} 10 ${hex(4 * random.below(64))};c ${hex(header.gateHandles)}`,
  // Children that are not there, or another's.
  (random) =>
    `f L ${hex(header.childRequests)} ${hex(CHILD_REQUEST_COUNT * CHILD_REQUEST_SIZE_BYTES)} ${hex((BigInt(random.pick([0, 4, 8, process.pid, random.below(5000)])) << 32n) | BigInt(CHILD_REQUESTED))};e child`,
  // The agent: its header, by which the next auditor finds it, and its code and data.
  (random) => `f A ${hex(random.pick(Object.values(agentHeader)) & ~7)} 8 ${hex(random.pick(plausible))}`,
  (random) => `r A 0 ${hex(AGENT_HEADER_SIZE_BYTES)} ${hex(random.below(1 << 30))}`,
  (random) => fill('A', random.below(0x8000) & ~7, 8 << random.below(8), random),
  () => `f A 0 ${hex(16 << 20)} cccccccccccccccc`,
];

/** @param {Random} random @param {number} sizeBytes @returns {readonly [offset: number, sizeBytes: number]} */
function place(random, sizeBytes) {
  const [offset, length] = random.pick(parts);
  return [offset + (random.below(Math.max(1, length - sizeBytes)) & ~7), sizeBytes];
}

/** @param {'L' | 'A'} area @param {number} offset @param {number} sizeBytes @param {Random} random */
function fill(area, offset, sizeBytes, random) {
  const where = `${area} ${hex(offset)} ${hex(sizeBytes)}`;
  const value = random.pick([0n, 0xffff_ffff_ffff_ffffn, undefined, undefined, random.pick(plausible)]);
  return value === undefined ? `r ${where} ${hex(random.below(1 << 30))}` : `f ${where} ${hex(value)}`;
}

/**
 * One case of damage, the same for the same number.
 *
 * @param {number} number
 * @returns {string} a line for scribbles-on-recorder
 */
export function makeDamage(number) {
  const random = new Random(number);
  const steps = [`d ${hex(random.below(60))}`];
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    steps.push(random.pick(damages)(random));
    if (random.below(3) === 0) steps.push(`d ${hex(random.below(30))}`);
  }
  // Some go on while the auditor reads, and some end.
  const [offset, sizeBytes] = random.pick(parts);
  if (random.below(3) === 0)
    steps.push(`s L ${hex(offset)} ${hex(sizeBytes)} ${hex(random.below(1 << 30))} ${hex(100 + random.below(300))}`);
  if (random.below(4) === 0) steps.push('x 7');
  return steps.join(';');
}
