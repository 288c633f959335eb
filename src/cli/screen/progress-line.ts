import { cutEnd } from '../../report/text-width.ts';
import { escapeText } from '../../text/escape.ts';
import { toolName } from '../../version.ts';
import { describeOutput, eraseTransient, writeTransient } from './terminal.ts';

/** Work that is done sooner needs no line. */
const QUIET_MS = 1000;
/** A terminal over a network must not be busy with a line that a person cannot read. */
const REDRAW_MS = 200;

/** Says on the terminal what a long work is at. */
interface ProgressLine extends Disposable {
  /**
   * Notes what the work is at, and shows it now and then.
   *
   * @param work such as `reading symbols`; `undefined`: the work is over, and its line vanishes
   * @param object a name that may hold anything
   */
  note(work: string | undefined, object?: string): void;
}

/** A line on stderr that the next output replaces; one without any effect where stderr is no terminal. */
export function openProgressLine(now: () => number = () => performance.now()): ProgressLine {
  const { canRedraw } = describeOutput(2);
  if (!canRedraw) return { note() {}, [Symbol.dispose]() {} };
  let begunMs: number | undefined;
  let drawnMs = Number.NEGATIVE_INFINITY;
  const end = (): void => {
    begunMs = undefined;
    eraseTransient();
  };
  return {
    note(work, object) {
      if (work === undefined) {
        end();
        return;
      }
      const nowMs = now();
      begunMs ??= nowMs;
      if (nowMs - begunMs < QUIET_MS || nowMs - drawnMs < REDRAW_MS) return;
      drawnMs = nowMs;
      const seconds = Math.floor((nowMs - begunMs) / 1000);
      const what = object === undefined ? work : `${work} of ${escapeText(object, true)}`;
      const text = `${toolName}: ${what}, ${seconds} s …`;
      // The last column stays free: there a terminal may begin a new line.
      writeTransient(cutEnd(text, describeOutput(2).columns - 1, '…'));
    },
    [Symbol.dispose]: end,
  };
}
