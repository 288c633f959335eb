// Audits a program three times and says as JSON what the auditor itself still holds after each.
import { writeSync } from 'node:fs';

const built = (path) => import(new URL(`../../../dist/${path}`, import.meta.url).href);
const { audit } = await built('audit/index.js');
const { HandleTable } = await built('handles/enumerate.js');
const { BorrowedHandle, CURRENT_PROCESS, liveOwners } = await built('io/index.js');

const rounds = [];
for (let round = 0; round < 3; round++) {
  const { findings } = await audit({ program: process.argv[2], targetStdout: 'stderr' });
  const { count } = HandleTable.readProcess(BorrowedHandle.borrowRaw(CURRENT_PROCESS), process.pid);
  rounds.push({
    findings: findings.length,
    liveOwners: liveOwners().map(({ kind, stack }) => `${kind} ${stack}`),
    handles: count,
  });
}
writeSync(1, JSON.stringify(rounds));
