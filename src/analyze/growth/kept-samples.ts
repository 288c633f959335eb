/**
 * The counts of a process that is watched for long: never more than so many, at even distances over the whole time, and
 * always the first and the last. The verdict takes a quarter of them for a quarter of the time.
 */
export class KeptSamples<Sample> {
  readonly #max: number;
  #kept: Sample[] = [];
  /** Every so many counts, one is kept for good. The last one gives way to the next if it is none of these. */
  #step = 1;
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** In the order of their times. */
  get all(): readonly Sample[] {
    return this.#kept;
  }

  add(sample: Sample): void {
    if (this.#count > 0 && (this.#count - 1) % this.#step !== 0) this.#kept.pop();
    this.#kept.push(sample);
    this.#count++;
    if (this.#kept.length <= this.#max) return;
    const last = this.#kept.length - 1;
    this.#kept = this.#kept.filter((_, index) => index % 2 === 0 || index === last);
    this.#step *= 2;
  }
}
