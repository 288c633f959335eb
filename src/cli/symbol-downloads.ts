import type { SymbolDownload } from '../symbols/store/symbol-server.ts';
import { escapeText } from '../text/escape.ts';
import { toolName } from '../version.ts';

/** The line for the news of a download; `undefined` for its end, which needs no line. */
export function spellDownload({ name, host, receivedBytes, sizeBytes, isDone }: SymbolDownload): string | undefined {
  if (isDone) return undefined;
  const size = sizeBytes === undefined ? '' : ` of ${spellMebibytes(sizeBytes)}`;
  const amount = receivedBytes === 0 ? size.replace(' of ', ', ') : `, ${spellMebibytes(receivedBytes)}${size}`;
  return `${toolName}: fetching ${escapeText(name, true)} from ${escapeText(host, true)}${amount}\n`;
}

function spellMebibytes(sizeBytes: number): string {
  return `${(sizeBytes / 2 ** 20).toFixed(1)} MiB`;
}
