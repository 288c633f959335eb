function run(code) {
  return eval(code); // leak
}
run("require('node:fs').openSync(__filename)");
