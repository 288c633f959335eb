import { openSync } from 'node:fs';
async function open(path) {
  await null;
  return openSync(path); // leak
}
await open(import.meta.filename);
