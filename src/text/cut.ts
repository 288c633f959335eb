/** The text, or its beginning and an ellipsis: at most so many UTF-16 units, and no half of a pair at the end. */
export function cutText(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, Math.max(0, lengthMax - 1)).replace(/[\ud800-\udbff]$/, '')}…`;
}
