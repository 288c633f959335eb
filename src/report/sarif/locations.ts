import type { Frame } from '../../model.ts';
import { rememberFrames } from '../stacks/frame-memory.ts';
import { baseName } from '../paths.ts';
import type { FindPlace, SourcePlace } from '../source-place.ts';
import { isOwn } from '../stacks/stack-view.ts';
import { messageText, nameText, uriOfPath } from './text.ts';

/** The name of the repository's root among the base URIs of a run. */
export const rootId = '%SRCROOT%';

/** The texts of JSON for frames, each made once: a frame stands in many results. */
export interface FrameTexts {
  /** A location with a place in the repository where there is one, without its closing brace. */
  location(frame: Frame): string;
  /** The same with a message, for a frame on the way to a call. */
  wayLocation(frame: Frame): string;
  /** A frame of a call stack. */
  stackFrame(frame: Frame): string;
  /** Whether it is one of the program in the repository. */
  isInRepository(frame: Frame): boolean;
}

/** The texts of frames whose places are found by this function. */
export function writeFramesWith(findPlace: FindPlace): FrameTexts {
  const location = rememberFrames((frame) => JSON.stringify(describeLocation(frame, findPlace)).slice(0, -1));
  return {
    location,
    wayLocation: rememberFrames((frame) => closeLocation(location(frame), `on the way: ${spellFunction(frame)}`)),
    stackFrame: rememberFrames(
      (frame) => `{"location":${location(frame)}},"module":${JSON.stringify(nameText(baseName(frame.module)))}}`,
    ),
    isInRepository: (frame) => isOwn(frame) && findPlace(frame) !== undefined,
  };
}

/** The rest of a location: its message. */
export function closeLocation(location: string, message: string): string {
  return `${location},"message":${JSON.stringify({ text: messageText(message) })}}`;
}

/** The name of a frame's function in a sentence. The text is not escaped. */
export function spellFunction({ function: name }: Frame): string {
  return name ?? 'a function without a name';
}

function describeLocation(frame: Frame, findPlace: FindPlace): object {
  const place = findPlace(frame);
  return { ...(place === undefined ? {} : describePlace(place)), logicalLocations: [describeFunction(frame)] };
}

/** The part of a location that is a place in a file. GitHub wants a line, also where only the file is known. */
export function describePlace({ path, line = 1 }: SourcePlace): object {
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOfPath(path), uriBaseId: rootId },
      region: { startLine: line },
    },
  };
}

/** The part of a location that is a function, or a place in a module. */
export function describeFunction({ module, function: name, offset }: Frame): object {
  const file = nameText(baseName(module));
  const shown = name === undefined ? `${file}+0x${offset.toString(16)}` : nameText(name);
  return {
    name: shown,
    fullyQualifiedName: name === undefined ? shown : `${file}!${shown}`,
    kind: name === undefined ? 'module' : 'function',
  };
}
