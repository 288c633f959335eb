// The threads of the pool have done other works before, whose addresses may still lie on their stacks.
import { lookup } from 'node:dns/promises';
import { open } from 'node:fs';

const path = import.meta.filename;
function keep() {
  open(path, () => {}); // leak
}
await Promise.all(Array.from({ length: 16 }, () => lookup('localhost')));
keep();
