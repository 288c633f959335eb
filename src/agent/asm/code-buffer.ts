import type { Label } from './operands.ts';

/** Finished code: its bytes, and the offset of every label. */
export interface Assembly {
  readonly bytes: Uint8Array;
  /**
   * Offset of a label from the start of the code.
   *
   * @throws Error when the label was never bound
   */
  offsetOf(label: Label): number;
}

export type Condition = keyof typeof conditionCodes;

const conditionCodes = {
  b: 2,
  ae: 3,
  e: 4,
  ne: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  l: 12,
  ge: 13,
  le: 14,
  g: 15,
} as const;

/** A position between the known bytes: how many of them come before it, and how many gaps. */
interface Position {
  at: number;
  gapCount: number;
}

/** A label as the buffer knows it; `at` is -1 until the label is bound. */
interface PlacedLabel extends Label, Position {}

/** A jump or a padding between the known bytes: its size depends on the rest of the code. */
interface Gap {
  /** Known bytes before it. */
  readonly at: number;
  /** The target of a jump; absent for a padding. */
  readonly label: PlacedLabel | undefined;
  readonly condition: Condition | undefined;
  /** A padding ends at a multiple of `alignment`, and repeats the byte `fill`. */
  readonly alignment: number;
  readonly fill: number;
  sizeBytes: number;
}

/**
 * 32 bits among the known bytes that hold the distance to a label. The distance counts from the end of the instruction,
 * which is `tail` bytes behind them.
 */
interface Reference extends Position {
  readonly label: PlacedLabel;
  readonly tail: number;
}

const SHORT_JUMP_SIZE_BYTES = 2;

/** Whether the processor can extend 8 bits to the value. */
export function fitsInt8(value: number): boolean {
  return value >= -0x80 && value <= 0x7f;
}

function fitsInt32(value: number): boolean {
  return value >= -0x8000_0000 && value <= 0x7fff_ffff;
}

/** Code in the making: known bytes, and between them jumps, paddings and distances that {@link assemble} resolves. */
export class CodeBuffer {
  readonly #gaps: Gap[] = [];
  readonly #references: Reference[] = [];
  /** The known bytes; the first `#sizeBytes` of them are in use. */
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #sizeBytes = 0;

  /** A new label that is not bound yet. */
  label(name: string): Label {
    const label: PlacedLabel = { kind: 'label', name, at: -1, gapCount: 0 };
    return label;
  }

  /**
   * Binds a label to this position and returns it.
   *
   * @throws Error when it is bound already
   */
  bind(label: Label): Label {
    const placed = label as PlacedLabel;
    if (placed.at >= 0) throw new Error(`label ${label.name} is bound twice`);
    placed.at = this.#sizeBytes;
    placed.gapCount = this.#gaps.length;
    return label;
  }

  data(bytes: ArrayLike<number>): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  byte(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  /** The low bits of a number: a value of 1 or 4 bytes. */
  immediate(value: number, sizeBytes: 1 | 4): void {
    const at = this.#grow(sizeBytes);
    if (sizeBytes === 1) this.#view.setInt8(at, value);
    else this.#view.setInt32(at, value, true);
  }

  immediate64(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, true);
  }

  /**
   * 32 bits that the processor extends with their sign where it needs 64.
   *
   * @throws Error when the value does not fit
   */
  signed32(value: number): void {
    if (!fitsInt32(value)) throw new Error(`${value} does not fit in 32 bits`);
    this.immediate(value, 4);
  }

  /** 32 bits for the distance to a label from `tail` bytes behind them. */
  reference(label: Label, tail: number): void {
    this.#references.push({ at: this.#grow(4), gapCount: this.#gaps.length, label: label as PlacedLabel, tail });
  }

  /** Pads to a multiple of `alignment` bytes. */
  pad(alignment: number, fill: number): void {
    this.#gaps.push({ at: this.#sizeBytes, label: undefined, condition: undefined, alignment, fill, sizeBytes: 0 });
  }

  /** A jump to a label in its shortest form; without a condition it is always taken. */
  jump(condition: Condition | undefined, label: Label): void {
    this.#gaps.push({
      at: this.#sizeBytes,
      label: label as PlacedLabel,
      condition,
      alignment: 0,
      fill: 0,
      sizeBytes: SHORT_JUMP_SIZE_BYTES,
    });
  }

  /** Makes room for more bytes and returns its offset. */
  #grow(sizeBytes: number): number {
    const at = this.#sizeBytes;
    this.#sizeBytes += sizeBytes;
    if (this.#sizeBytes > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#sizeBytes));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  /**
   * Lays the code out with the shortest jumps that reach, and resolves every label. Call it once.
   *
   * @throws Error when a label is used but not bound
   */
  assemble(): Assembly {
    const gaps = this.#gaps;
    /** How far the gaps before each gap, and before the end, move what follows. */
    const moved = new Uint32Array(gaps.length + 1);
    const offsetOf = (label: PlacedLabel): number => {
      if (label.at < 0) throw new Error(`label ${label.name} is not bound`);
      return label.at + moved[label.gapCount]!;
    };
    this.#addUpGaps(moved);
    // A jump that grows can push another one out of reach, but never back into reach: the loop ends.
    for (let hasGrown = true; hasGrown; ) {
      hasGrown = false;
      for (let index = 0; index < gaps.length; index++) {
        const gap = gaps[index]!;
        if (gap.label === undefined || gap.sizeBytes !== SHORT_JUMP_SIZE_BYTES) continue;
        if (fitsInt8(offsetOf(gap.label) - (gap.at + moved[index]! + SHORT_JUMP_SIZE_BYTES))) continue;
        gap.sizeBytes = gap.condition === undefined ? 5 : 6;
        hasGrown = true;
      }
      if (hasGrown) this.#addUpGaps(moved);
    }
    return { bytes: this.#emit(moved, offsetOf), offsetOf: (label) => offsetOf(label as PlacedLabel) };
  }

  /** Adds up the gaps' sizes with the jumps as they are now. The size of a padding follows from the sum before it. */
  #addUpGaps(moved: Uint32Array): void {
    let sum = 0;
    for (let index = 0; index < this.#gaps.length; index++) {
      moved[index] = sum;
      const gap = this.#gaps[index]!;
      if (gap.label === undefined)
        gap.sizeBytes = Math.ceil((gap.at + sum) / gap.alignment) * gap.alignment - (gap.at + sum);
      sum += gap.sizeBytes;
    }
    moved[this.#gaps.length] = sum;
  }

  #emit(moved: Uint32Array, offsetOf: (label: PlacedLabel) => number): Uint8Array {
    const gaps = this.#gaps;
    const bytes = new Uint8Array(this.#sizeBytes + moved[gaps.length]!);
    const view = new DataView(bytes.buffer);
    let copied = 0;
    for (let index = 0; index < gaps.length; index++) {
      const gap = gaps[index]!;
      if (gap.at > copied) bytes.set(this.#bytes.subarray(copied, gap.at), copied + moved[index]!);
      copied = gap.at;
      const offset = gap.at + moved[index]!;
      if (gap.label === undefined) bytes.fill(gap.fill, offset, offset + gap.sizeBytes);
      else emitJump(view, offset, gap, offsetOf(gap.label) - (offset + gap.sizeBytes));
    }
    bytes.set(this.#bytes.subarray(copied, this.#sizeBytes), copied + moved[gaps.length]!);
    for (const { at: known, gapCount, label, tail } of this.#references) {
      const offset = known + moved[gapCount]!;
      view.setInt32(offset, offsetOf(label) - (offset + 4 + tail), true);
    }
    return bytes;
  }
}

function emitJump(view: DataView, offset: number, { sizeBytes, condition }: Gap, distance: number): void {
  if (sizeBytes === SHORT_JUMP_SIZE_BYTES) {
    view.setUint8(offset, condition === undefined ? 0xeb : 0x70 + conditionCodes[condition]);
    view.setInt8(offset + 1, distance);
  } else if (condition === undefined) {
    view.setUint8(offset, 0xe9);
    view.setInt32(offset + 1, distance, true);
  } else {
    view.setUint8(offset, 0x0f);
    view.setUint8(offset + 1, 0x80 + conditionCodes[condition]);
    view.setInt32(offset + 2, distance, true);
  }
}
