const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

const odd = ['', 'a b', 'c"d\\', '--logs'];
function work() {
  fs.openSync(__filename); // leak
}
if (process.argv[2] === 'child') {
  if (JSON.stringify(process.argv.slice(3)) !== JSON.stringify(odd)) process.exitCode = 2;
  work();
} else process.exitCode = spawnSync(process.execPath, [__filename, 'child', ...odd]).status;
