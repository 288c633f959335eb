const fs = require('node:fs');
const v8 = require('node:v8');
v8.setFlagsFromString('--expose-gc');
const gc = require('node:vm').runInNewContext('gc');
function open(path) {
  return fs.openSync(path); // leak
}
for (let round = 0; round < 20; round++) {
  for (let each = 0; each < 200; each++) new Function('a', `return a + ${each}`)(round);
  gc();
}
open(__filename);
