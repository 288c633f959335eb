import { openSync } from 'node:fs';
Promise.resolve(import.meta.filename).then(
  (path) => openSync(path), // leak
);
