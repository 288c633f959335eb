const fs = require('node:fs');
function openFor(path, done) {
  fs.open(path, done); // leak
}
function begin() {
  openFor(__filename, () => {}); // caller
}
begin();
