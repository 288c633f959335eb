const fs = require('node:fs');
const { fork } = require('node:child_process');

function work() {
  fs.openSync(__filename); // leak
}
if (process.argv[2] === 'child') work();
else fork(__filename, ['child']);
