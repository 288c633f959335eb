import { win32 } from 'node:path';

import type { Command } from 'commander';

import { MAX_HISTORY } from '../../agent/ledger/earlier-life.ts';
import type { WatchOptions } from '../../audit/options.ts';
import { plural } from '../../report/numbers.ts';
import { escapeText } from '../../text/escape.ts';
import { parseHandle } from '../handle-argument.ts';
import { formatHandle } from '../handle-columns.ts';
import { write } from './terminal.ts';
import { ValueView } from './value-view.ts';

/** The value of {@link addValueOption}, and of the option that it changes. */
export interface ValueCliOptions {
  readonly value?: bigint;
  readonly history: number;
}

/** Adds the option by which the calls that have to do with one value are shown. */
export function addValueOption(command: Command): Command {
  return command.option(
    '--value <handle>',
    'print each call that opens, closes or misuses a handle of this value, such as 0x44, with its stack, as it happens',
    parseHandle,
  );
}

/** How many earlier lives are kept: as many as can be where a value is watched, unless the user has said a number. */
export function chooseHistory({ value, history }: ValueCliOptions, command: Command): number {
  const isDefault = command.getOptionValueSource('history') === 'default';
  return value !== undefined && isDefault ? MAX_HISTORY : history;
}

/**
 * Translates the option for the audit. The calls go to stderr, which the report goes to later.
 *
 * @param program whole path of the program
 */
export function toWatchOptions({ value }: ValueCliOptions, program: string): { readonly watch?: WatchOptions } {
  if (value === undefined) return {};
  const views = new Map<string, ValueView>();
  const handle = formatHandle(value);
  return {
    watch: {
      value,
      onEvent(event) {
        const { image = program, pid } = event.process ?? {};
        const view = views.get(image) ?? new ValueView(2, image);
        views.set(image, view);
        const name = pid === undefined ? '' : `${escapeText(win32.basename(image), true)} (${pid}), `;
        const [first, ...frames] = view.draw(event, `${event.timeMs.toFixed(1)} ms`, name);
        const missed =
          event.missedLives === undefined
            ? []
            : [`${name}${handle} was opened and closed ${plural(event.missedLives, 'time')} in between, unseen`];
        write(2, [...missed, `${handle} ${first}`, ...frames].map((line) => `${line}\n`).join(''));
      },
    },
  };
}
