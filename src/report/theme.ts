import { Chalk } from 'chalk';
import type { Level } from '../model.ts';
import { escapeText } from '../text/escape.ts';
import type { ReportOptions } from './reporter.ts';

type Paint = (text: string) => string;

/** How the table looks: paints for text that is already escaped and cut to size, and the signs that are not letters. */
export interface Theme {
  readonly strong: Paint;
  readonly dim: Paint;
  readonly place: Paint;
  readonly good: Paint;
  readonly level: Readonly<Record<Level, Paint>>;
  readonly badge: Readonly<Record<Level, Paint>>;
  /** For a finding that is known or suppressed. */
  readonly acceptedBadge: Paint;
  readonly signs: Signs;
  /** Makes text from outside safe to show. */
  readonly escape: (text: string) => string;
}

interface Signs {
  readonly ellipsis: string;
  readonly bar: string;
  readonly rule: string;
  readonly arrow: string;
  readonly calledBy: string;
  readonly pointer: string;
  readonly bullet: string;
  readonly good: string;
  readonly bad: string;
}

const unicodeSigns: Signs = {
  ellipsis: '…',
  bar: '│',
  rule: '─',
  arrow: '→',
  calledBy: '←',
  pointer: '❯',
  bullet: '•',
  good: '✓',
  bad: '✗',
};
const asciiSigns: Signs = {
  ellipsis: '...',
  bar: '|',
  rule: '-',
  arrow: '->',
  calledBy: '<-',
  pointer: '>',
  bullet: '*',
  good: '+',
  bad: 'x',
};

/** Only the sixteen colours that every terminal's user has chosen for themselves are used, at every level. */
export function createTheme({ colorLevel, ascii = false }: ReportOptions): Theme {
  // Never chalk's global instance: its level is guessed from the process, and chalk 6 ignores NO_COLOR.
  const chalk = new Chalk({ level: colorLevel });
  return {
    strong: chalk.bold,
    dim: chalk.dim,
    place: chalk.cyan,
    good: chalk.green,
    level: { error: chalk.red, warning: chalk.yellow, note: chalk.blue },
    badge: {
      error: badge(chalk.bold.inverse.red, colorLevel),
      warning: badge(chalk.bold.inverse.yellow, colorLevel),
      note: badge(chalk.inverse.blue, colorLevel),
    },
    acceptedBadge: badge(chalk.dim.inverse, colorLevel),
    signs: ascii ? asciiSigns : unicodeSigns,
    escape: (text) => escapeText(text, ascii),
  };
}

/** A coloured field needs a margin around its word; a bare word does not. */
function badge(paint: Paint, colorLevel: number): Paint {
  return colorLevel === 0 ? (text) => text : (text) => paint(` ${text} `);
}
