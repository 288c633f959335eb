import { ReadFileAsync } from '../../ffi/kernel32.ts';
import { NULL_HANDLE, standardHandle } from '../../io/index.ts';

const LINE_FEED = 0x0a;

/**
 * Enter on stdin, which the program under audit shares: it is read only while somebody waits for it. A read that has
 * begun takes the next input even if nobody waits any more; that press counts for the next who waits.
 */
export class EnterKey {
  readonly #waiting: ((isPressed: boolean) => void)[] = [];
  #isReading = false;
  #hasEnded = false;
  #presses = 0;

  /**
   * Resolves with `true` when Enter is pressed, once for each press, and with `false` when stdin has ended or `isOver` is
   * aborted.
   */
  async press(isOver: AbortSignal): Promise<boolean> {
    if (this.#hasEnded || isOver.aborted) return false;
    if (this.#presses > 0) {
      this.#presses--;
      return true;
    }
    return await new Promise((resolve) => {
      this.#waiting.push(resolve);
      isOver.addEventListener('abort', () => {
        const index = this.#waiting.indexOf(resolve);
        if (index >= 0) this.#waiting.splice(index, 1);
        resolve(false);
      });
      void this.#read();
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const buffer = Buffer.alloc(256);
    const count = new Uint32Array(1);
    while (this.#waiting.length > 0) {
      const stdin = standardHandle('input').asRawHandle();
      const isRead = stdin !== NULL_HANDLE && (await ReadFileAsync(stdin, buffer, buffer.length, count, null));
      if (!isRead || count[0] === 0) {
        this.#hasEnded = true;
        for (const resolve of this.#waiting.splice(0)) resolve(false);
      }
      for (const byte of buffer.subarray(0, isRead ? count[0] : 0)) {
        if (byte !== LINE_FEED) continue;
        const resolve = this.#waiting.shift();
        if (resolve === undefined) this.#presses++;
        else resolve(true);
      }
    }
    this.#isReading = false;
  }
}
