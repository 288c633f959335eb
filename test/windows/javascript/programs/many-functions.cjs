const fs = require('node:fs');
const made = Array.from({ length: 3000 }, (_, index) => new Function('f', `return f(${index})`));
for (const each of made) each((index) => index);
made.length = 0;
const last = new Function('open', 'return open();');
last(function open() {
  return fs.openSync(__filename); // leak
});
