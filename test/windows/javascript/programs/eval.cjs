function run(code) {
  // biome-ignore lint/security/noGlobalEval: the leak is in evaluated code
  return eval(code); // leak
}
run("require('node:fs').openSync(__filename)");
