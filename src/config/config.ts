import type { Level, Rule } from '../rules.ts';

/** The content of a configuration file: docs/configuration.md. Its paths are as they were written. */
export interface Config {
  readonly failOn?: Level | 'never';
  readonly requireComplete?: boolean;
  readonly exitCodePolicy?: ExitCodePolicy;
  readonly rules?: Readonly<Partial<Record<Rule, Level | 'off'>>>;
  readonly baseline?: string;
  readonly suppressions?: readonly InlineSuppression[];
  readonly suppressionFiles?: readonly string[];
  readonly defaultSuppressions?: boolean;
  readonly reporters?: readonly string[];
  readonly notes?: boolean;
  readonly symbols?: readonly string[];
  readonly include?: NamePatterns;
  readonly exclude?: NamePatterns;
  readonly mark?: string;
  readonly warmUp?: number;
  readonly settle?: string;
  readonly leaksBySection?: boolean;
  readonly followChildren?: boolean;
  readonly waitChildren?: boolean;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly quarantine?: number;
  readonly maxHandles?: number;
  readonly history?: number;
}

/** Which of the two results decides the exit code of `run`. */
export type ExitCodePolicy = (typeof exitCodePolicies)[number];

export const exitCodePolicies = ['findings', 'program', 'program-first', 'findings-first'] as const;

/** A line of suppressions with its annotations apart. */
interface InlineSuppression {
  readonly match: string;
  readonly reason: string;
  readonly expires?: string;
}

/** Whole names, in which `*` stands for any text. */
export interface NamePatterns {
  readonly modules?: readonly string[];
  readonly processes?: readonly string[];
}
