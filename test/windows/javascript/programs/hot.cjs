const fs = require('node:fs');
function pick(index, path) {
  if (index % 1000 !== 999) return index;
  return fs.openSync(path); // leak
}
function sum(count) {
  let result = 0;
  for (let index = 0; index < count; index++) result += pick(index % 999, __filename);
  return result;
}
for (let round = 0; round < 200; round++) sum(20_000);
pick(999, __filename); // caller
