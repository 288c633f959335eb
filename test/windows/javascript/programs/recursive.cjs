const fs = require('node:fs');
function descend(depth) {
  if (depth === 0) return fs.openSync(__filename); // leak
  return descend(depth - 1);
}
descend(5);
