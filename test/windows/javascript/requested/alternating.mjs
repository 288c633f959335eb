// Two functions open by turns, and one of them closes: a request's memory is used again by the other.
import { close, open } from 'node:fs';
import { promisify } from 'node:util';

const path = import.meta.filename;
function keep(done) {
  open(path, done); // leak
}
function look(done) {
  open(path, (error, descriptor) => (error ? done(error) : close(descriptor, done)));
}
for (let round = 0; round < 20; round++)
  await Promise.all(Array.from({ length: 20 }, (_, index) => promisify(index % 4 === 0 ? keep : look)()));
