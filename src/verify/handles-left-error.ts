import { escapeText } from '../text/escape.ts';
import type { LeftHandle } from './options.ts';

/** Handles that a message lists. */
const LISTED_MAX = 20;
/** Tests that a message names. */
const NAMED_MAX = 5;

/** A test left handles open, or one of several did that ran at once. */
export class HandlesLeftError extends Error {
  override readonly name = 'HandlesLeftError';
  readonly handles: readonly LeftHandle[];

  /** @param tests that may have left them */
  constructor(handles: readonly LeftHandle[], tests: readonly string[]) {
    super(`${spellSubject(handles.length)} left open by ${spellTests(tests)}:\n${spellHandles(handles)}`);
    this.handles = handles;
    // Its stack would show this package, and runners show the code at its top.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** A line for each handle, and one for the place where its owner was made. */
export function spellHandles(handles: readonly LeftHandle[]): string {
  const lines = handles
    .slice(0, LISTED_MAX)
    .flatMap(({ value, type, name, madeAt }) => [
      `  ${type} 0x${value.toString(16)}${name === '' ? '' : `  ${escapeText(name)}`}`,
      ...(madeAt === undefined ? [] : [`    made at ${escapeText(madeAt)}`]),
    ]);
  const rest = handles.length - LISTED_MAX;
  return [...lines, ...(rest > 0 ? [`  and ${rest} more`] : [])].join('\n');
}

function spellSubject(count: number): string {
  return count === 1 ? '1 handle was' : `${count} handles were`;
}

function spellTests(tests: readonly string[]): string {
  const names = tests.slice(0, NAMED_MAX).map((name) => `“${escapeText(name)}”`);
  if (tests.length <= 1) return names[0] ?? 'the test';
  const rest = tests.length - names.length;
  return `one of the tests ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}, which ran at the same time`;
}
