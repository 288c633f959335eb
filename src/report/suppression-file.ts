import { escapeText } from '../text/escape.ts';
import type { Reporter } from './reporter.ts';

/**
 * A file of suppressions for everything that was found (docs/suppressions.md): each with its sentence for a comment.
 */
export const suppressions: Reporter = ({ findings }, { showNotes = false }) => {
  const shown = findings.filter(
    ({ level, suppression }) => suppression !== undefined && (showNotes || level !== 'note'),
  );
  const lines = new Map<string, string[]>();
  for (const { suppression = '', level, message } of shown) {
    // Two sites may be told apart by less than a line can say.
    lines.set(suppression, [...(lines.get(suppression) ?? []), `# ${level}: ${escapeText(message)}`]);
  }
  return [...lines].map(([line, comments]) => `${comments.join('\n')}\n${escapeText(line)}\n`).join('\n');
};
