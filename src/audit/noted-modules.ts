import { win32 } from 'node:path';

import { displayName } from '../handles/display-name.ts';
import { readNameContext } from '../handles/name-context.ts';
import type { CallLedger } from '../call-ledger.ts';
import { isSystemPath, type Module } from '../process/modules.ts';

/**
 * The images that a target has mapped so far, as modules, the latest first.
 *
 * @param isWanted whether one at such a place is of use: the path of a module takes many questions about drives
 */
export function listNotedModules(
  ledger: CallLedger,
  isWanted: (place: Pick<Module, 'base' | 'sizeBytes'>) => boolean = () => true,
): readonly Module[] {
  const images = Array.from(ledger.images()).filter(isWanted);
  if (images.length === 0) return [];
  const context = readNameContext();
  // Where two images lay at one place, the stacks are more likely those of the later one.
  return images
    .map(({ base, sizeBytes, path: kernelPath }): Module => {
      const path = displayName('File', kernelPath, context);
      return { base, sizeBytes, name: win32.basename(path), path, isSystem: isSystemPath(path) };
    })
    .toReversed();
}
