import { nowMs } from '../../process/clock.ts';

/** The time that all downloads of one audit may take together. It passes only while one of them is under way. */
export class DownloadTime {
  readonly #end = new AbortController();
  #leftMs: number;
  #underWay = 0;
  #beganMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  /**
   * Does some work, and counts its time.
   *
   * @param work gets a signal that is aborted when no time is left
   */
  async during<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#underWay === 0) this.#start();
    this.#underWay += 1;
    try {
      return await work(this.#end.signal);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#stop();
    }
  }

  #start(): void {
    this.#beganMs = nowMs();
    this.#timer = setTimeout(() => this.#end.abort(), this.#leftMs);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#leftMs = Math.max(0, this.#leftMs - (nowMs() - this.#beganMs));
  }
}
