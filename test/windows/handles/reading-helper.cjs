// Loaded before the tool (`node --require`): the tool then starts reading-helper-main.ts where it would start its own
// helper.
'use strict';
const childProcess = require('node:child_process');
const { join } = require('node:path');

const { spawn } = childProcess;
childProcess.spawn = (file, args, options) => {
  return spawn(
    file,
    args.map((arg) => (/[\\/]query-helper-main\.js$/.test(arg) ? join(__dirname, 'reading-helper-main.ts') : arg)),
    options,
  );
};
