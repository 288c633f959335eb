import type { Frame, Stack } from '../../model.ts';
import { rememberFrames } from '../frame-memory.ts';
import { baseName } from '../paths.ts';
import type { FindPlace, SourcePlace } from '../source-place.ts';
import { isOwn } from '../stack-view.ts';
import { messageText, nameText, uriOfPath } from './text.ts';

/** The name of the repository's root among the base URIs of a run. */
export const rootId = '%SRCROOT%';

/** A location of SARIF; the `id` and the message of one are added where it is used. */
export interface Location {
  readonly physicalLocation?: object;
  readonly logicalLocations?: readonly object[];
}

/** Gives the locations of frames. */
export interface Locations {
  /** With a place in the repository where there is one. */
  locate(frame: Frame): Location;
  /** The frames of the program in the repository, the innermost first. */
  inRepository(stack: Stack): Stack;
}

/** Locates frames, each once. */
export function locateWith(findPlace: FindPlace): Locations {
  const locate = rememberFrames((frame): Location => {
    const place = findPlace(frame);
    return { ...(place === undefined ? {} : placeLocation(place)), logicalLocations: [logicalLocation(frame)] };
  });
  return {
    locate,
    inRepository: (stack) => stack.filter((frame) => isOwn(frame) && findPlace(frame) !== undefined),
  };
}

/** A location with nothing but its place. GitHub wants a line, also where only the file is known. */
export function placeLocation({ path, line = 1 }: SourcePlace): Location {
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOfPath(path), uriBaseId: rootId },
      region: { startLine: line },
    },
  };
}

function logicalLocation({ module, function: name, offset }: Frame): object {
  const file = nameText(baseName(module));
  const shown = name === undefined ? `${file}+0x${offset.toString(16)}` : nameText(name);
  return {
    name: shown,
    fullyQualifiedName: name === undefined ? shown : `${file}!${shown}`,
    kind: name === undefined ? 'module' : 'function',
  };
}

/** A call stack of SARIF, with the outer frames left out of one that is too deep. */
export function describeStack(label: string, stack: Stack, framesMax: number, locations: Locations): object {
  const left = Math.max(0, stack.length - framesMax);
  const more = left === 0 ? '' : ` (${left} outer frames left out)`;
  return {
    message: { text: messageText(`${label}${more}`) },
    frames: stack.slice(0, framesMax).map((frame) => ({
      location: locations.locate(frame),
      module: nameText(baseName(frame.module)),
    })),
  };
}
