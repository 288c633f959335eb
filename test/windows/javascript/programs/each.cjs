const fs = require('node:fs');
[__filename].forEach((path) => {
  [path].map((each) => fs.openSync(each)); // leak
});
