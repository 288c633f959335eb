// The work of the tests in this folder: opens a file by Node.js, or an event that an owner of unclosed/io holds.
import { closeSync, openSync } from 'node:fs';
import { createPipe } from 'unclosed/io';

export const open = () => openSync(process.execPath);
export const close = closeSync;

export function makePipe() {
  return createPipe();
}
