import { escapeText } from '../../text/escape.ts';
import type { Reporter } from '../reporter.ts';
import { selectFindings } from '../selection.ts';

/**
 * A file of suppressions (docs/suppressions.md) for every new finding, with its sentence for a comment. A finding that
 * is suppressed already has its line in another file.
 */
export const suppressions: Reporter = (report, { showNotes = false }) => {
  const { serious, notes } = selectFindings(report);
  const lines = new Map<string, string[]>();
  for (const { suppression, level, message } of showNotes ? [...serious, ...notes] : serious) {
    if (suppression === undefined) continue;
    // One line may match several sites.
    lines.set(suppression, [...(lines.get(suppression) ?? []), `# ${level}: ${escapeText(message)}`]);
  }
  return [...lines].map(([line, comments]) => `${comments.join('\n')}\n${escapeText(line)}\n`).join('\n');
};
