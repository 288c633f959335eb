import type { Actor } from '../../../../src/analyze/attribution.ts';

/**
 * An opening, and whose it is. In titles, `[ran]` marks frames as Wine 8 shows them: functions without a symbol have
 * the nearest export.
 */
export interface Opening {
  readonly title: string;
  readonly type: string;
  readonly name?: string;
  readonly frames: readonly string[];
  readonly actor: Actor;
}
