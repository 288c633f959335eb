const fs = require('node:fs');
setTimeout(function later() {
  fs.openSync(__filename); // leak
}, 1);
