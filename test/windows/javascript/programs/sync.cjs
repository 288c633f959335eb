const fs = require('node:fs');
function open(path) {
  return fs.openSync(path); // leak
}
function load() {
  return open(__filename); // caller
}
load();
