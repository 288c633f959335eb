// Measures the memory and the processor time of a process from outside while it runs. So the process is exactly what a
// user runs, and ends by itself.
//
// Both come from the list of all processes, the only source that is right about other processes on Windows and under
// Wine. Under Wine 8, GetProcessTimes gives the times of the caller, and K32GetProcessMemoryInfo gives zeros after the
// process has ended. So the figures are samples, and lack what comes after the last one.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

const SAMPLE_MS = 20;

/**
 * @typedef {object} Sample
 * @property {number} timeMs since the process was started
 * @property {number} processorMs of all its threads
 * @property {number} peakBytes
 * @property {boolean} hasChild whether a process that it started is there
 */

/**
 * Runs a program to its end, and takes a sample every 20 ms.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {string} [output] the file for its stdout
 * @returns {Promise<{ tookMs: number, samples: readonly Sample[] }>}
 * @throws Error when it fails
 */
export async function runWatched(file, args, output) {
  // Imported here, because the host loads this module, too.
  const { listProcesses } = await import('../dist/process/processes.js');
  const stdout = output === undefined ? 'ignore' : openSync(output, 'w');
  const start = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', stdout, 'pipe'] });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text));
  /** @type {Sample[]} */
  const samples = [];
  const timer = setInterval(() => {
    const timeMs = performance.now() - start;
    const processes = listProcesses();
    const own = processes.find(({ processId }) => processId === child.pid);
    const hasChild = processes.some(({ parentId }) => parentId === child.pid);
    if (own !== undefined)
      samples.push({
        timeMs,
        processorMs: Number(own.processorTime) / 10_000,
        peakBytes: own.peakWorkingSetBytes,
        hasChild,
      });
  }, SAMPLE_MS);
  try {
    const { code, tookMs } = await new Promise((resolve, reject) => {
      let tookMs = 0;
      child.on('error', reject);
      child.on('exit', () => (tookMs = performance.now() - start));
      child.on('close', (code) => resolve({ code, tookMs }));
    });
    if (code !== 0) throw new Error(`${[file, ...args].join(' ')}: exit code ${code}: ${stderr}`);
    return { tookMs, samples };
  } finally {
    clearInterval(timer);
    if (stdout !== 'ignore') closeSync(stdout);
  }
}

/** @param {{ samples: readonly Sample[] }} watched */
export function peakMBOf({ samples }) {
  return Math.max(...samples.map(({ peakBytes }) => peakBytes)) / 1e6;
}

/** @param {{ samples: readonly Sample[] }} watched */
export function processorMsOf({ samples }) {
  return Math.max(...samples.map(({ processorMs }) => processorMs));
}
