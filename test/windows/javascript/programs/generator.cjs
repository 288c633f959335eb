const fs = require('node:fs');
function* files(paths) {
  for (const path of paths) yield fs.openSync(path); // leak
}
[...files([__filename])]; // caller
