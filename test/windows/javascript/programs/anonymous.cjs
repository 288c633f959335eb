const fs = require('node:fs');
(() => {
  (() => {
    fs.openSync(__filename); // leak
  })();
})();
