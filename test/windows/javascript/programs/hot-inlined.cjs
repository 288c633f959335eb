const fs = require('node:fs');
let isLeaking = false;
function inner(path) {
  return isLeaking ? fs.openSync(path) : 0; // leak
}
function outer(count) {
  let result = 0;
  for (let index = 0; index < count; index++) {
    result += inner(__filename); // caller
  }
  return result;
}
for (let round = 0; round < 100; round++) outer(5000);
isLeaking = true;
outer(1);
