import { iterationGap } from '../analyze/growth/iterations.ts';
import type { Gap } from '../completeness.ts';
import type { Mark } from '../evidence-model.ts';
import { MarkListener } from '../marks/mark-listener.ts';
import { MarkError, type MarkName } from '../marks/mark-name.ts';
import type { AuditOptions } from './options.ts';

type MarkOptions = Pick<AuditOptions, 'analysis' | 'settleMs' | 'leaksBySection'>;

/**
 * Makes the event or pipe by which a program marks its work; `undefined` where it is not to mark any.
 *
 * @throws MarkError when marks cannot be taken by that name, or sections are wanted and there is no pipe for them
 */
export async function openMarks(
  mark: MarkName | undefined,
  { settleMs = 0, leaksBySection = false }: MarkOptions,
): Promise<MarkListener | undefined> {
  if (mark !== undefined) return await MarkListener.open(mark, { settleMs, leaksBySection });
  if (leaksBySection) throw new MarkError('', 'there is no pipe to say which section begins', 'a pipe: pipe:my-test');
  return undefined;
}

/** The gaps of a program's marks and sections. */
export function gapsOfMarks(
  marks: readonly Mark[],
  name: string,
  hasSections: boolean,
  { analysis, leaksBySection = false }: MarkOptions,
): readonly Gap[] {
  // A program that only names its sections need not mark iterations.
  const isWithoutMarks = marks.length === 0 && (hasSections || leaksBySection);
  const iteration = isWithoutMarks ? undefined : iterationGap(marks, name, analysis?.warmUpIterations);
  return [
    ...(iteration === undefined ? [] : [iteration]),
    ...(leaksBySection && !hasSections ? [{ kind: 'no-sections', mark: name } as const] : []),
  ];
}
