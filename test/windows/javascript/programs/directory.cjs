const fs = require('node:fs');
function walk(path) {
  fs.opendir(path, (_error, directory) => (globalThis.kept = directory)); // leak
}
walk(__dirname);
