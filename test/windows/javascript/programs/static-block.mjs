import { openSync } from 'node:fs';

class Registry {
  static #handle;
  static {
    Registry.#handle = openSync(import.meta.filename); // leak
  }
  handle() {
    return Registry.#handle;
  }
}
new Registry().handle();
