import { openSync } from 'node:fs';

openSync(import.meta.filename); // leak
