import { readFileSync } from 'node:fs';

const description = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { name: string; version: string };

/** `unclosed`. */
export const toolName: string = description.name;
/** The version of the installed package. */
export const toolVersion: string = description.version;
