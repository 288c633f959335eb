import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const description = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  name: string;
  version: string;
};

/** `unclosed`. */
export const toolName: string = description.name;
/** The version of the installed package. */
export const toolVersion: string = description.version;
