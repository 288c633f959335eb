import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { auditPrograms, matrixFolder } from '../../fixtures/matrix/audits.mjs';
import { matrix } from '../../fixtures/matrix/cases.mjs';

// A sample: `npm run accuracy` audits them all. Those of clang are not built where it is missing, and the build has said so.
const sample = matrix.filter(({ name, isSample }) => isSample && existsSync(join(matrixFolder, `${name}.exe`)));

describe('an audit says of a program of the matrix what is true of it, and nothing else:', () => {
  let results: Awaited<ReturnType<typeof auditPrograms>>;

  beforeAll(async () => {
    results = await auditPrograms(sample);
  }, 300_000);

  it.each(sample)('$name', ({ name, form }) => {
    const verdict = results.find((result) => result.name === name)?.verdict;
    const outcome = form === 'bad' ? 'true positive' : 'true negative';
    expect(verdict).toEqual({ outcome, falsePositives: [], complaints: [] });
  });
});
