import { beforeAll, describe, expect, it } from 'vitest';

import { auditPrograms } from '../../fixtures/matrix/audits.mjs';
import { matrix } from '../../fixtures/matrix/cases.mjs';

// A sample: `npm run accuracy` audits them all.
const sample = matrix.filter(({ isSample }) => isSample);

describe('an audit says of a program of the matrix what is true of it, and nothing else:', () => {
  let results: Awaited<ReturnType<typeof auditPrograms>>;

  beforeAll(async () => {
    results = await auditPrograms(sample);
  });

  it.each(sample)('$name', ({ name, form }) => {
    const verdict = results.find((result) => result.name === name)?.verdict;
    const outcome = form === 'bad' ? 'true positive' : 'true negative';
    expect(verdict).toEqual({ outcome, falsePositives: [], complaints: [] });
  });
});
