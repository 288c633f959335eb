// Measures a program of 200,000 CreateEvent and CloseHandle, on 1 and on 4 threads: alone and under `unclosed run`, by
// turns, so that the machine's mood counts for both; the median of 5 (or of as many as the second argument says).
import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const tool = fileURLToPath(new URL('../bin/unclosed.cjs', import.meta.url));
const [program, rounds = '5'] = process.argv.slice(2);

/** Microseconds for one pair. */
function measure(command, args) {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' });
  const [, pairs, microseconds] = /(\d+) pairs in (\d+) us/.exec(stdout) ?? [];
  if (status !== 0 || pairs === undefined) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return Number(microseconds) / Number(pairs);
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

writeSync(1, 'CreateEvent + CloseHandle, microseconds a pair, median (lowest to highest)\n');
for (const threads of ['1', '4']) {
  const bare = [];
  const recorded = [];
  for (let round = 0; round < Number(rounds); round++) {
    bare.push(measure(program, [threads]));
    recorded.push(measure(process.execPath, [tool, 'run', '--fail-on', 'never', '--', program, threads]));
  }
  const show = (values) => `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
  const ratio = (median(recorded) / median(bare)).toFixed(2);
  writeSync(1, `${threads} thread${threads === '1' ? ' ' : 's'}: alone ${show(bare)}, recorded ${show(recorded)}, ratio ${ratio}\n`);
}
