const fs = require('node:fs');
// So many functions that V8 expects no single one: it does not throw its code away when another one comes.
const quick = [() => 1, () => 2, () => 3, () => 4, () => 5, () => 6];
function inner(work) {
  return work(); // caller
}
function outer(count, works) {
  let result = 0;
  for (let index = 0; index < count; index++) {
    result += inner(works[index % works.length]); // caller
  }
  return result;
}
for (let round = 0; round < 100; round++) outer(5000, quick);
outer(1, [
  () => fs.openSync(__filename), // leak
]);
