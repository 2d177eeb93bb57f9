import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatRecord, parseRecord } from '../../src/ledger/codec.js';
import { verifyLedger } from '../../src/ledger/verify.js';
import {
  CURRENT,
  digestOf,
  image,
  KEY_BY_01,
  readerOf,
  recordOf,
  reference,
  reportOn,
  writtenBy01,
} from './fixture.js';

function parsed(bytes: Uint8Array) {
  const result = parseRecord(bytes);
  if ('problem' in result) throw new Error(result.problem);
  return result.value;
}

describe('a ledger that version 0.1 wrote', () => {
  test.each(['plain', 'sealed'] as const)('is read, verified and written again byte for byte: %s', async (name) => {
    const key = name === 'sealed' ? KEY_BY_01 : undefined;
    const ledger = writtenBy01(name);
    expect(ledger).toHaveLength(7);
    for (const bytes of ledger) expect(String(formatRecord(parsed(bytes).record, key))).toBe(String(bytes));
    const { records, problem } = await verifyLedger(readerOf(ledger), { label: CURRENT, key });
    expect(problem).toBeUndefined();
    expect(records.map(({ kind }) => kind)).toEqual([
      'adopted',
      'earned',
      'forced',
      'rollback',
      'lift',
      'quarantine',
      'earned',
    ]);
  });
});

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,12}$/);
const line = fc.stringMatching(/^[ -~é]{0,40}$/);
const when = fc.integer({ min: 0, max: 2 ** 31 }).map((s) => new Date(s * 1000).toISOString().replace('.000Z', 'Z'));
const ban = fc.record({ digest: word.map(digestOf), tag: word, reason: line, who: line, since: when });

/** The JSON of a record as version 0.1 wrote it, with its keys in their order. */
const fileBy01 = fc
  .record({
    kind: fc.constantFrom('earned', 'forced', 'rollback', 'adopted', 'lift', 'quarantine'),
    run: fc.integer({ min: 1, max: 1e6 }),
    n: fc.integer({ min: 1, max: 1e6 }),
    when,
    who: line,
    url: fc.option(word.map((path) => `https://forge.example/${path}`)),
    event: fc.constantFrom('', 'schedule', 'workflow_dispatch'),
    reason: line,
    name: word,
    targets: fc.array(word, { minLength: 1, maxLength: 3 }),
    skipped: fc.array(line, { maxLength: 3 }),
    overridden: fc.uniqueArray(fc.constantFrom('downgrade', 'hold', 'reject', 'wait')),
    previous: fc.option(word),
    holds: fc.array(ban, { maxLength: 2 }),
    quarantine: fc.array(ban, { maxLength: 2 }),
    before: fc.option(word),
    failed: fc.subarray(['check', 'deploy']),
  })
  .map((r) => ({
    version: 1,
    id: `${r.run}/1/00000000-0000-4000-8000-000000000000`,
    n: r.n,
    kind: r.kind,
    when: r.when,
    who: r.who,
    'run-url': r.url,
    event: r.event,
    reason: r.reason,
    label: 'current-ceph',
    candidate: reference(r.name),
    targets: r.targets.map((path) => ({
      repository: `quay.io/${path}/daemon`,
      tag: r.name,
      digest: digestOf(r.name),
      source: reference(r.name),
    })),
    decision: ['earned', 'forced'].includes(r.kind) ? reportOn(image(r.name), r.failed) : null,
    'skipped-jobs': r.kind === 'forced' ? r.skipped : [],
    overridden: r.kind === 'forced' ? r.overridden : [],
    previous: r.previous === null ? null : reference(r.previous),
    holds: r.holds,
    quarantine: r.quarantine,
    'prev-sha256': r.before === null ? null : digestOf(r.before).slice(7),
  }));

describe('a record', () => {
  test('of the form of version 0.1 has the same bytes when it is written again', () => {
    fc.assert(
      fc.property(fileBy01, fc.option(word), (file, key) => {
        const unsealed = Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
        const hmac = key === null ? undefined : createHmac('sha256', key).update(unsealed).digest('hex');
        const bytes =
          hmac === undefined ? unsealed : Buffer.from(`${JSON.stringify({ ...file, hmac }, undefined, 2)}\n`);
        expect(String(formatRecord(parsed(bytes).record, key ?? undefined))).toBe(String(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test('keeps the additions of newer versions: contents of bans, and superseded ledgers', () => {
    const contents = [digestOf('amd64'), digestOf('config')];
    const adopted = recordOf('v1', 1, undefined, {
      kind: 'adopted',
      supersedes: [{ ledger: digestOf('lost').slice(7), n: 12 }],
      holds: [{ ...image('v2'), reason: 'r', who: 'w', since: '2026-01-01T00:00:00Z', contents }].map(
        ({ repository: _, ...rest }) => rest,
      ),
    });
    expect(parsed(formatRecord(adopted, undefined)).record).toEqual(adopted);
  });

  test('that does not fit its schema is not written', () => {
    expect(() => formatRecord({ ...recordOf('v1'), n: 0 }, undefined)).toThrow();
  });

  test('that no store would read is not written', () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `job-${n}-${'x'.repeat(200)}`);
    const forced = recordOf('v1', 1, undefined, { kind: 'forced', skippedJobs: many });
    expect(() => formatRecord(forced, undefined)).toThrow(
      /^ledger record 1 of current-ceph: has \d+ bytes, over 4194304$/,
    );
  });
});
