import { spellNoun } from '../../analyze/object-noun.ts';
import { trimStack } from '../../analyze/stacks.ts';
import type { Stack } from '../../model.ts';
import { drawStack } from '../../report/stacks/stack-view.ts';
import { createView } from '../../report/view.ts';
import { sourcePathOptions } from './host-paths.ts';
import { describeOutput, type OutputStream } from './terminal.ts';

/** A call that has to do with a handle value, as far as it is shown. */
interface DrawnEvent {
  readonly what: string;
  readonly objectType: string;
  readonly threadId: number;
  readonly stack: Stack;
  readonly count?: number;
}

/** Draws calls that have to do with a handle value, for a person. */
export class ValueView {
  readonly #view: ReturnType<typeof createView>;

  /** @param program whole path of the program that made them */
  constructor(stream: OutputStream, program: string) {
    const { colorLevel, columns } = describeOutput(stream);
    this.#view = createView({ target: { command: [program] } }, { colorLevel, columns, ...sourcePathOptions() });
  }

  /**
   * The lines of one call: `opened as a File handle  thread 36, 12.3 ms`, and its stack.
   *
   * @param moment when it was made, in words
   * @param process stands before the thread, if it is to be named: `worker.exe (42), `. The caller has escaped it
   */
  draw(event: DrawnEvent, moment: string, process: string = ''): readonly string[] {
    const { theme, width } = this.#view;
    const frames = drawStack(trimStack(event.stack), { ...this.#view, width: width - 4 });
    return [
      `${theme.strong(spellEvent(event))}  ${theme.dim(`${process}thread ${event.threadId}, ${moment}`)}`,
      ...frames.map((line) => `    ${line}`),
    ];
  }
}

/** `opened as a File handle`; `closed again, 3 times so far` */
function spellEvent({ what, objectType, count = 1 }: DrawnEvent): string {
  const noun = spellNoun({ type: objectType });
  const as = what === 'opened' ? ` as ${/^[AEIO]/.test(noun) ? 'an' : 'a'} ${noun}` : '';
  return `${what}${as}${count === 1 ? '' : `, ${count} times so far`}`;
}
