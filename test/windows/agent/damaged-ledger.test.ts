// A target can write to its ledger. Here the test writes to it, while the target runs.
import { afterEach, describe, expect, test } from 'vitest';

import { HEADER_SIZE_BYTES, header } from '../../../src/agent/ledger/layout.ts';
import { LedgerDamagedError } from '../../../src/agent/ledger/ledger-damaged-error.ts';
import { audit } from '../../../src/audit/index.ts';
import { viewMemory } from '../../../src/ffi/library.ts';
import { fixturePath } from '../tool.ts';
import { findLedger, listRunning } from './own-process.ts';

const viewHeader = (ledger: bigint): DataView => new DataView(viewMemory(ledger, HEADER_SIZE_BYTES));

/** Nothing else here has a ledger of this size, by which the test finds it. */
const SLOT_COUNT = 1 << 13;

describe('an audit whose ledger was overwritten', () => {
  const abort = new AbortController();
  afterEach(() => abort.abort());

  test('fails, and leaves no target behind when it is aborted', async () => {
    const audited = audit({
      program: fixturePath('stays-quiet'),
      recording: { slotCount: SLOT_COUNT },
      signal: abort.signal,
    });
    audited.catch(() => undefined); // looked at below
    const imagesOf = (ledger: bigint | undefined): number =>
      ledger === undefined ? 0 : viewHeader(ledger).getUint32(header.imageCount, true);
    await expect.poll(() => imagesOf(findLedger(SLOT_COUNT))).toBeGreaterThan(2); // it runs
    viewHeader(findLedger(SLOT_COUNT)!).setBigUint64(header.magic, 0n, true);
    abort.abort();
    await expect(audited).rejects.toThrow(LedgerDamagedError);
    await expect.poll(() => listRunning()).toEqual([]);
  });
});
