const fs = require('node:fs');
class Cache {
  static #count = 0;
  get handle() {
    Cache.#count += 1;
    return fs.openSync(__filename); // leak
  }
  warm() {
    return this.handle; // caller
  }
}
new Cache().warm();
