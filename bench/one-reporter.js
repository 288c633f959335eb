// Started by reporters.js for each format, so that the memory is that of the one format: makes the report, writes it,
// and prints the figures as JSON.
import { closeSync, openSync, writeSync } from 'node:fs';

import { reporters } from '../dist/report/index.js';
import { encodePieces } from '../dist/text/pieces.js';
import { makeOddReport } from './odd-report.js';

const [name = '', findings = '', frames = '', file = ''] = process.argv.slice(2);
const report = makeOddReport(Number(findings), Number(frames));
const write = Object.entries(reporters).find(([each]) => each === name)?.[1];
if (write === undefined) throw new Error(`There is no reporter "${name}".`);
// All findings are listed, also notes and those that were accepted.
const listed = { showNotes: true, showSuppressed: true };
const options = /** @type {const} */ ({ colorLevel: 0, columns: 100, baseDirectory: 'C:\\repo', ...listed });
const output = openSync(file, 'w');
let sizeBytes = 0;
const began = process.hrtime.bigint();
const before = process.cpuUsage();
for (const bytes of encodePieces(write(report, options))) {
  // The rest is only counted: the speed of the disk is not the reporter's.
  if (sizeBytes < 1 << 20) writeSync(output, bytes);
  sizeBytes += bytes.length;
}
const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
const { user, system } = process.cpuUsage(before);
closeSync(output);
const peakBytes = process.resourceUsage().maxRSS * 1024;
writeSync(1, JSON.stringify({ tookMs, processorMs: (user + system) / 1000, sizeBytes, peakBytes }));
