const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

function work() {
  fs.openSync(__filename); // leak
}
if (process.argv[2] === 'child') work();
else spawnSync(`"${process.execPath}" "${__filename}" child`, { shell: true, stdio: 'inherit' });
